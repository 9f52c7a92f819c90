"""What the broker is made of."""

from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import ip_network

from merkato.broker import handlers, http
from merkato.broker.actions.log import FAN_OUT, LOG
from merkato.broker.domain import topics
from merkato.broker.domain.addresses import PORTS, Rules
from merkato.broker.http.letters import Services
from merkato.broker.http.stream import Streams
from merkato.broker.http.topics import Registry
from merkato.broker.jobs.deliver import Dispatcher
from merkato.broker.jobs.fan_out import fan_out
from merkato.broker.jobs.letters import Notice
from merkato.broker.jobs.log import keep_log
from merkato.broker.providers.post import Post
from merkato.chassis.service import Every, Resources, Service
from merkato.chassis.vault import Vault
from merkato.config import SERVICES, Config

KEEP_S = 600.0  # how often the log's partitions are looked at
LOG_DAYS_MIN = 7  # as long as the broker of messages keeps them
NOTICE_S = 5.0  # how soon a dead letter of any service is said
FAN_OUT_S = 1.0  # how soon what another process logged becomes deliveries
HERE = ("127.0.0.0/8", "::1/128")  # in development, webhooks may go to this machine


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
    vault = Vault(settings.secret_keys, "broker.secret_keys")
    post = Post(rules(config), concurrency=settings.webhooks_at_once)

    def provides(_: Resources) -> Mapping[str, object]:
        return {
            "registry": registry,
            "streams": streams,
            "vault": vault,
            "doorman": post.check,
            "services": Services(SERVICES),
        }

    async def deliver(resources: Resources) -> int:
        most = settings.webhooks_at_once
        await Dispatcher(post, vault, resources, config.public_url, most).run()
        return 0

    return Service(
        name="broker",
        prefixes=(
            "/api/v1/topics", "/api/v1/events", "/api/v1/subscriptions", "/api/v1/deliveries",
            "/api/v1/dead-letters",
        ),
        routes=http.ROUTES,
        says=handlers.SAYS,
        hears=handlers.HEARS,
        jobs=(
            Every("keep-log", KEEP_S, partial(keep_log, days=settings.log_days)),
            Every(FAN_OUT, FAN_OUT_S, fan_out),
            Every("deliver", FAN_OUT_S, deliver),
            Every("notice-letters", NOTICE_S, Notice(SERVICES).notice),
        ),
        asks=SERVICES,
        rings=(LOG,),
        provides=provides,
    )  # fmt: skip


def rules(config: Config) -> Rules:
    """Say where webhooks may go. Raises ValueError for a network that is none."""
    networks = config.broker.webhook_networks
    if config.environment == "development":
        own = tuple(ip_network(one) for one in networks or HERE)
        return Rules(schemes=frozenset({"http", "https"}), ports=None, networks=own)
    return Rules(ports=PORTS, networks=tuple(ip_network(one) for one in networks))
