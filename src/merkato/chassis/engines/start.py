"""Starts the engines that were not brought, makes databases and roles, tells who connects where."""

from pathlib import Path

import msgspec

from merkato.chassis.engines import nats, postgres, provision
from merkato.chassis.engines.home import Home, Secrets
from merkato.chassis.supervisor import CannotStart, Supervisor


class Engines(msgspec.Struct, frozen=True, kw_only=True):
    """Running engines and how to reach them."""

    admin_dsn: str  # PostgreSQL's superuser, or the role that was brought
    database_urls: dict[str, str]  # service -> its own database, as its own role
    audit_urls: dict[str, str]  # service -> its database, as the role that only reads
    nats_url: str  # as a user who may do everything
    nats_urls: dict[str, str]  # service -> as a user who says its own events only
    secrets: Secrets

    def __repr__(self) -> str:
        return "Engines(…)"


async def start(
    supervisor: Supervisor,
    home: Path,
    services: tuple[str, ...],
    database_url: str | None = None,
    nats_url: str | None = None,
) -> Engines:
    """Start the engines that were not brought by URL, and provision; a repeat harms nothing.

    `services` are the names of the services that get a database and a NATS user each. Raises
    CannotStart with what is wrong and what to do.
    """
    place = Home(home)
    place.open()
    kept = place.secrets(services)
    if database_url is None:
        await supervisor.start(await postgres.child(place, kept))
    if nats_url is None:
        await supervisor.start(nats.child(place, kept, services))
    running = addresses(place, services, database_url, nats_url)
    await provision.provision(
        running.admin_dsn, {name: kept.postgres[name] for name in ("audit", *services)}
    )
    return running


def addresses(
    place: Home, services: tuple[str, ...], database_url: str | None, nats_url: str | None
) -> Engines:
    """Tell who connects where, running or not. Raises CannotStart where none ever started."""
    if not place.secrets_file.exists():
        raise CannotStart(f"No shop was ever started in {place.path}; merkato up starts one.")
    kept = place.secrets(services)
    admin = database_url or postgres.admin_dsn(place, kept)
    return Engines(
        admin_dsn=admin,
        database_urls={
            name: provision.dsn(
                admin, provision.role(name), kept.postgres[name], provision.role(name)
            )
            for name in services
        },
        audit_urls={
            name: provision.dsn(
                admin, provision.role("audit"), kept.postgres["audit"], provision.role(name)
            )
            for name in services
        },
        nats_url=nats_url or nats.url(place, kept, "admin"),
        nats_urls={
            name: nats_url or nats.url(place, kept, name) for name in ("gateway", *services)
        },
        secrets=kept,
    )
