"""What the house tells of itself: JSON logs with the request's id, and metrics."""

import logging
import re
import sys

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROW = re.compile(r"\nDETAIL:.*?(?=\nHINT:|\n\n|\Z)", re.S)  # in the text of a database error

REQUESTS = Histogram(
    "merkato_request_seconds",
    "Time from a request's arrival to its answer.",
    ("service", "method", "route", "status"),
    buckets=SECONDS,
    registry=REGISTRY,
)
RELAYED = Counter(
    "merkato_events_relayed", "Events the broker acknowledged.", ("service",), registry=REGISTRY
)
HEARD = Counter("merkato_events_heard", "Events handled.", ("service", "type"), registry=REGISTRY)
SET_ASIDE = Counter(
    "merkato_events_set_aside", "Events whose handler failed.", ("service",), registry=REGISTRY
)
JOB_FAILURES = Counter(
    "merkato_job_failures", "Runs of a job that ended in an error.", ("service", "job"),
    registry=REGISTRY,
)  # fmt: skip
DELIVERIES = Counter(
    "merkato_webhook_tries", "Tries to deliver a webhook.", ("outcome",), registry=REGISTRY
)
LETTERS = Gauge(
    "merkato_dead_letters", "Events set aside that are open.", ("service", "state"),
    registry=REGISTRY,
)  # fmt: skip
LOOP_LAG = Gauge(
    "merkato_loop_lag_seconds", "How late the event loop was, last looked.", registry=REGISTRY
)


def _serialise(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _without_rows(
    _: object, __: str, entry: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Leave out what PostgreSQL quotes of rows in an error: they may be about people."""
    if "exception" in entry:
        entry["exception"] = ROW.sub("", entry["exception"])
    return entry


def configure(level: str = "info") -> None:
    """Write logs as one JSON object per line to standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            _without_rows,
            structlog.processors.JSONRenderer(serializer=_serialise),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, force=True)


def metrics() -> bytes:
    """Give all metrics of this process in Prometheus' text format."""
    return generate_latest(REGISTRY)
