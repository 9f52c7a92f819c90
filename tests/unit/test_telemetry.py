"""Logs hold no rows of the database."""

import json

import asyncpg
import structlog

from merkato.chassis import telemetry


def test_a_rows_values_stay_out_of_the_log(capsys):
    error = asyncpg.CheckViolationError("violates check constraint")
    error.detail = "Failing row contains (1, canary@example.org,\nsecond line)."
    assert "canary" in str(error), "or there would be nothing to leave out"
    telemetry.configure("info")
    structlog.get_logger().error("bug", exc_info=error)
    structlog.reset_defaults()
    line = json.loads(capsys.readouterr().err)
    assert "violates check constraint" in line["exception"]
    assert "canary" not in line["exception"]
    assert "second line" not in line["exception"]
