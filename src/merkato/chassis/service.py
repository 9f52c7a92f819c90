"""What a service declares, and how one is run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import msgspec
import structlog

from merkato.chassis import access, forgetting, http, idempotency, inbox, letters, outbox, wake
from merkato.chassis.allowance import Allowances
from merkato.chassis.ask import App, Asks
from merkato.chassis.bus import NatsBus
from merkato.chassis.bus import connected as bus_connected
from merkato.chassis.db import Database
from merkato.chassis.db import connected as db_connected
from merkato.chassis.edge import edge
from merkato.chassis.keys import ApiKeys
from merkato.chassis.telemetry import JOB_FAILURES
from merkato.chassis.tokens import Tokens
from merkato.contracts.event import Event
from merkato.contracts.trail import NOTED
from merkato.contracts.users import AccessChanged, RoleChanged

log = structlog.get_logger()

SETTLE_S = 5.0  # how soon events set aside are looked at again
PRUNE_S = 60.0  # how often old rows are forgotten
FORGET_S = 10.0  # how soon people are forgotten whose next round is due


class Resources(msgspec.Struct, frozen=True):
    """What a running service has to work with."""

    service: str
    db: Database
    asks: Asks
    tokens: Tokens


class Every(msgspec.Struct, frozen=True):
    """Something to do by the clock, and at once when a transaction wakes `name`.

    `job` gives how much it did; while that is not 0 it is run again without a pause.
    """

    name: str
    seconds: float
    job: Callable[[Resources], Awaitable[int]]


def _nothing(_: Resources) -> Mapping[str, object]:
    return {}


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """All that a service is made of; the package `merkato.<name>` holds its schema."""

    name: str
    prefixes: Sequence[str]  # the paths it answers; the longest match among all services wins
    routes: http.Routes = ()
    says: Sequence[type[Event]] = ()
    hears: inbox.Hears = {}
    jobs: Sequence[Every] = ()
    asks: Sequence[str] = ()  # other services, by name
    rings: Sequence[str] = ()  # bells that ring in all its processes, wherever a transaction wakes
    provides: Callable[[Resources], Mapping[str, object]] = _nothing  # arguments for routes
    forgets: forgetting.Forgets = forgetting.nothing  # its part in forgetting people

    def hears_all(self) -> inbox.Hears:
        """Give all it hears, with what every service hears: changed access, and erasures."""
        erasures = forgetting.hears(self.forgets, self.says, tuple(self.hears))
        return {
            AccessChanged: access.on_changed, RoleChanged: access.on_role_changed,
            **erasures, **self.hears,
        }  # fmt: skip

    def all_routes(self) -> http.Routes:
        """Give all it answers, with what every service tells the broker: its dead letters."""
        return [*self.routes, *letters.ROUTES]

    def kinds(self) -> letters.Kinds:
        """Give the events it hears and says, for who opens dead letters."""
        events = (*self.says, *self.hears_all())
        return letters.Kinds(self.name, {event.type: event for event in events})

    async def forget_due(self, resources: Resources) -> int:
        """Forget people whose turn it is; a job of every service."""
        return await forgetting.forget_due(resources.db, self.forgets, self.says, tuple(self.hears))

    def __post_init__(self) -> None:
        """Add what every service says: what staff did in it."""
        noted = [NOTED[self.name]] if self.name in NOTED else []
        msgspec.structs.force_setattr(self, "says", (*self.says, *noted))


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service runs: its database, its broker, its keys, and the others' apps."""

    database_url: str
    nats_url: str
    sources: Sequence[str]  # names of all services that may speak
    tokens: Tokens
    apps: Mapping[str, App]
    pool_max: int = 10


@asynccontextmanager
async def running(service: Service, place: Place) -> AsyncIterator[App]:
    """Run a service in this process: migrated, listening, relaying. Gives its ASGI app."""
    async with (
        db_connected(place.database_url, pool_max=place.pool_max) as db,
        bus_connected(place.nats_url, service.name, place.sources) as bus,
        AsyncExitStack() as lasting,
    ):
        await db.migrate("merkato.chassis", f"merkato.{service.name}")
        asks = Asks({name: _late(place.apps, name) for name in service.asks}, place.tokens)
        resources = Resources(service.name, db, asks, place.tokens)
        ears = inbox.Inbox(db, service.name, service.hears_all())
        keys = ApiKeys(Asks({"users": _late(place.apps, "users")}, place.tokens))
        app = http.app(
            service.all_routes(),
            place.tokens,
            keys,
            {
                "db": db,
                "asks": asks,
                "tokens": place.tokens,
                "kinds": service.kinds(),
                **service.provides(resources),
            },
        )
        await lasting.enter_async_context(wake.shared(db, bus, service.name, service.rings))
        tasks = [
            asyncio.create_task(db.lead(lambda: _lead(service, resources, bus, ears))),
            asyncio.create_task(access.follow(db, place.tokens)),
        ]
        try:
            allowances = Allowances(service.routes)
            yield edge(service.name, app, lambda: _ready(db, bus), allowances)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _late(apps: Mapping[str, App], name: str) -> App:
    """Look an app up when it is called: services that ask each other start in any order."""

    async def app(scope: object, receive: object, send: object) -> None:
        await apps[name](scope, receive, send)

    return app


async def _lead(service: Service, resources: Resources, bus: NatsBus, ears: inbox.Inbox) -> None:
    """Do what one process at a time does for a service: relay, hear, and its jobs."""
    keep = (
        Every("set-aside", SETTLE_S, lambda r: ears.retry_set_aside(r.db)),
        Every(forgetting.BELL, FORGET_S, service.forget_due),
        Every("measure-letters", SETTLE_S, lambda r: letters.measure(r.db, r.service)),
        Every("prune-outbox", PRUNE_S, lambda r: outbox.prune(r.db)),
        Every("prune-inbox", PRUNE_S, lambda r: inbox.prune(r.db)),
        Every("prune-answers", PRUNE_S, lambda r: idempotency.prune(r.db)),
    )
    async with asyncio.TaskGroup() as loops:
        loops.create_task(outbox.relay_forever(resources.db, bus, service.name))
        loops.create_task(ears.hear_forever(bus))
        for every in (*service.jobs, *keep):
            loops.create_task(_repeat(every, resources))


async def _repeat(every: Every, resources: Resources) -> None:
    bell = resources.db.bell(every.name)
    while True:
        bell.clear()
        try:
            while await every.job(resources):
                pass
        except Exception as error:  # a job is written to be repeated
            JOB_FAILURES.labels(resources.service, every.name).inc()
            log.warning("job will run again", job=every.name, exc_info=error)
            await asyncio.sleep(min(every.seconds, 1.0))
        with suppress(TimeoutError):
            async with asyncio.timeout(every.seconds):
                await bell.wait()


async def _ready(db: Database, bus: NatsBus) -> dict[str, str]:
    """Name what does not work: the database, or the broker (orders are still accepted then)."""
    wrong = {}
    try:
        async with asyncio.timeout(2), db.reading() as tx:
            await tx.fetchval("select 1")
    except Exception as error:
        wrong["database"] = type(error).__name__
    if not bus.healthy():
        wrong["broker"] = "not connected"
    return wrong
