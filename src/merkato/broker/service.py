"""What the broker is made of."""

from collections.abc import Mapping, Sequence
from functools import partial

from merkato.broker import handlers, http, jobs
from merkato.broker.actions.log import LOG
from merkato.broker.domain import topics
from merkato.broker.http.stream import Streams
from merkato.broker.http.topics import Registry
from merkato.chassis.service import Every, Resources, Service
from merkato.config import Config

KEEP_S = 600.0  # how often the log's partitions are looked at
LOG_DAYS_MIN = 7  # as long as the broker of messages keeps them


def service(config: Config, heard: Mapping[str, Sequence[str]]) -> Service:
    """Put the service together; `heard` tells which services hear an event type.

    Raises ValueError for a log that forgets too soon.
    """
    settings = config.broker
    if settings.log_days < LOG_DAYS_MIN:
        raise ValueError(f"broker.log_days is at least {LOG_DAYS_MIN}: retries take four days")
    hearers = {type_: [*names] for type_, names in heard.items()}
    for event in handlers.HEARS:
        hearers.setdefault(event.type, []).append("broker")
    registry, streams = Registry(topics.own(hearers)), Streams(settings.streams_max)

    def provides(_: Resources) -> Mapping[str, object]:
        return {"registry": registry, "streams": streams}

    return Service(
        name="broker",
        prefixes=("/api/v1/topics", "/api/v1/events"),
        routes=http.ROUTES,
        says=handlers.SAYS,
        hears=handlers.HEARS,
        jobs=(Every("keep-log", KEEP_S, partial(jobs.keep_log, days=settings.log_days)),),
        rings=(LOG,),
        provides=provides,
    )
