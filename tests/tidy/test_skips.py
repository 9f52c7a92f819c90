"""A test that lacks something of the machine skips at home and fails in continuous integration."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LACKING = """
import pytest


@pytest.mark.skipif(True, reason="no nginx here")
def test_marked():
    pass


def test_called():
    pytest.skip("no browser here")


@pytest.mark.xfail(reason="known")
def test_known():
    assert False
"""


@pytest.mark.parametrize(
    ("ci", "ends", "says"),
    [("", 0, "2 skipped, 1 xfailed"), ("1", 1, "1 xfailed"), ("1", 1, "no nginx here")],
)
def test_skips_fail_where_nothing_may_be_missing(
    tmp_path: Path, ci: str, ends: int, says: str
) -> None:
    (tmp_path / "test_lacking.py").write_text(LACKING)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-ra"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MERKATO_CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ends, done.stdout
    assert says in done.stdout
