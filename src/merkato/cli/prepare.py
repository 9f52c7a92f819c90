"""`merkato prepare`: what the containers of deploy/compose.yaml need before they start.

Each container sees one folder below `containers` of the data folder, with its own secrets only.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from merkato import config, topology
from merkato.chassis.engines import nats, provision
from merkato.chassis.engines.home import Home, Secrets, write_private
from merkato.chassis.engines.start import addresses
from merkato.chassis.supervisor import CannotStart
from merkato.cli import plan
from merkato.config import Config
from merkato.gateway.nginx import configuration

# What compose.yaml calls the containers, and what they listen on: one name and port per process.
PORT = 8000
EVERYWHERE = "0.0.0.0"
NATS, NATS_PORT, NATS_FOLDER = "nats", 4222, "/data"
NATS_MONITOR = "127.0.0.1:8222"  # for its health check, inside of its container
NGINX_LISTEN, NGINX_FOLDER = f"{EVERYWHERE}:8080", "/tmp/merkato-nginx"
OUTSIDE, OUTSIDE_FOLDER = "outside", "/data"
OUTSIDE_PORTS = {"mailbox": 8025, "telephones": 8026, "processor": 8027, "smtp": 1025}
PROCESSOR_PAGES = f"http://127.0.0.1:{OUTSIDE_PORTS['processor']}"  # published on this machine


def prepare() -> None:
    """Make databases, roles, secrets and a configuration for every container.

    DATABASE_URL names a role that may create databases and roles. What was made before stays as it
    is, so a repeat is harmless; settings are written anew from MERKATO_CONFIG and the environment.
    """
    asked = config.from_environment()
    if asked.environment == "production" and asked.notifications == config.Notifications():
        raise CannotStart("Production needs a mail server; name it by SMTP_URL.")
    database_url, _ = config.external_engines()
    if database_url is None:
        raise CannotStart("The databases are made with DATABASE_URL, which is not set.")
    home = Home(config.home())
    home.open()
    kept = home.secrets(config.SERVICES)
    passwords = {name: kept.postgres[name] for name in ("audit", *config.SERVICES)}
    asyncio.run(provision.provision(database_url, passwords))
    engines = addresses(home, config.SERVICES, database_url, f"nats://{NATS}:{NATS_PORT}")
    settings = plan.furnished(asked, engines)
    settings = msgspec.structs.replace(settings, nats_urls=_nats_urls(kept))
    if settings.environment == "development":
        settings = plan.using_stand_ins(settings, kept, OUTSIDE, OUTSIDE_PORTS)
        _write(home, OUTSIDE, "outside.json", _json(_outside(kept)))
    home.nats.mkdir(exist_ok=True, mode=0o700)  # where its container keeps the streams
    _write(home, NATS, "nats.conf", _nats(kept))
    _write_services(home, settings)
    # for commands: what holds for all, without the databases, which they open as the reading role
    for_commands = msgspec.structs.replace(settings, database_urls={}, nats_urls={})
    write_private(home.path / "config.json", _json(for_commands))
    print(f"Prepared {len(config.ALL)} services of a shop at {settings.public_url}.")


def _write_services(home: Home, settings: Config) -> None:
    urls = {name: f"http://{name}:{PORT}" for name in config.ALL}
    for name in config.ALL:
        own = plan.alone(settings, name, urls, EVERYWHERE, PORT, config.network() or "127.0.0.1/32")
        _write(home, name, "service.json", _json(own))
    door = msgspec.structs.replace(settings, elsewhere=urls)
    made = configuration(door, topology.services(door), NGINX_LISTEN, {}, NGINX_FOLDER)
    _write(home, "nginx", "nginx.conf", made.encode())


def _nats_urls(kept: Secrets) -> Mapping[str, str]:
    return {
        name: f"nats://{name}:{kept.nats[name]}@{NATS}:{NATS_PORT}"
        for name in ("gateway", *config.SERVICES)
    }


def _nats(kept: Secrets) -> bytes:
    listen = f"{EVERYWHERE}:{NATS_PORT}"
    return nats.configuration(kept, config.SERVICES, listen, NATS_FOLDER, NATS_MONITOR).encode()


def _outside(kept: Secrets) -> Mapping[str, object]:
    return {  # merkato.outside.running.Outside
        "folder": OUTSIDE_FOLDER,
        "host": EVERYWHERE,
        "processor_port": OUTSIDE_PORTS["processor"],
        "processor_url": PROCESSOR_PAGES,
        "mailbox_smtp_port": OUTSIDE_PORTS["smtp"],
        "mailbox_port": OUTSIDE_PORTS["mailbox"],
        "gateway_port": OUTSIDE_PORTS["telephones"],
        "gateway_secret": kept.gateway_secret,
        "api_key": kept.stripe_key,
        "webhook_secret": kept.stripe_webhook_secret,
        "webhook_url": f"http://gateway:{PORT}/api/v1/payments/webhooks/stripe",
        "environment": "development",
    }


def _json(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content))


def _write(home: Home, container: str, name: str, content: bytes) -> None:
    folder: Path = home.path / "containers" / container
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder / name, content)
