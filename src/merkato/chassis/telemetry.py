"""What the house tells of itself: JSON logs with the request's id, and metrics."""

import asyncio
import logging
import re
import sys
import time

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LAG_PERIOD_S = 0.5
ROW = re.compile(r"\nDETAIL:.*?(?=\nHINT:|\n\n|\Z)", re.S)  # in the text of a database error
IN_FLIGHT_BUSY = 8  # requests waiting at once from which on a process is busy
PACE_S = 0.01  # least time from one batch of events to the next in a process at rest, …
PACE_LONG_S = 0.1  # … in one that takes …
CPU_LONG = 0.4  # … so much of a processor, or more, …
PACE_BUSY_S = 0.05  # … and in a busy one, where larger batches would stand in the requests' way
PATIENCE_S = 0.02  # how long work that can wait a little waits for a moment without requests, and …
MOMENT_S = 0.001  # … how often it looks
GIVE_WAY_S = 0.05  # how long work that can wait then waits

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


class Load:
    """How busy this process is."""

    in_flight = 0  # requests that wait for their answer
    cpu = 0.0  # of a processor's time, taken of late


def is_busy() -> bool:
    """Tell whether so many wait for an answer that other work should be sparing."""
    return Load.in_flight > IN_FLIGHT_BUSY


async def watch_loop() -> None:
    """Measure for ever how late the event loop wakes us, and how busy this process is."""
    loop = asyncio.get_running_loop()
    while True:
        began, used = loop.time(), time.process_time()
        await asyncio.sleep(LAG_PERIOD_S)
        took = loop.time() - began
        LOOP_LAG.set(max(0.0, took - LAG_PERIOD_S))
        Load.cpu = (time.process_time() - used) / took


async def pause_since(began: float) -> None:
    """Rest after a batch begun at `began` (loop time): the more work there is, the larger a batch.

    Fifty orders a second in batches of 10 ms took 1.8 processors, in batches of 100 ms 1.0.
    """
    least = PACE_S + (PACE_LONG_S - PACE_S) * min(1.0, Load.cpu / CPU_LONG)
    if is_busy():
        least = PACE_BUSY_S
    await asyncio.sleep(max(0.0, began + least - asyncio.get_running_loop().time()))


async def a_moment(most_s: float = PATIENCE_S) -> None:
    """Wait until no request is under way in this process, `most_s` at most."""
    for _ in range(round(most_s / MOMENT_S)):
        if not Load.in_flight:
            return
        await asyncio.sleep(MOMENT_S)


async def give_way() -> None:
    """Let requests go first: work that can wait pauses here while many are waiting."""
    if is_busy():
        await asyncio.sleep(GIVE_WAY_S)
