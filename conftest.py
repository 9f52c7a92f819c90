"""Where nothing may be missing (MERKATO_CI, set by .ci/run), a skipped test is a failed one."""

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure that says what was missing; leave expected failures alone."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("MERKATO_CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"Nothing may be skipped where MERKATO_CI is set. {reason}"
    return report
