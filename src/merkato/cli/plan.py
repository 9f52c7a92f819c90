"""What `up` runs: the configuration of the shop, and the processes made of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from merkato import config
from merkato.chassis.engines import Engines, ports
from merkato.chassis.engines.home import Home, write_private
from merkato.chassis.supervisor import Child
from merkato.cli import probe
from merkato.config import Config, Keys

T = TypeVar("T")


def wanted(home: Path, port: int | None) -> Config:
    """Give what `<home>/config.json` asks for; without that file, a development shop.

    Raises ValueError where that file is wrong.
    """
    file = home / "config.json"
    asked = config.read(file) if file.exists() else Config(environment="development")
    if port is not None:
        asked = msgspec.structs.replace(asked, port=port)
    if asked.public_url == Config().public_url:
        url = f"http://127.0.0.1:{asked.port}"
        asked = msgspec.structs.replace(asked, public_url=url)
    return asked


def furnished(asked: Config, engines: Engines) -> Config:
    """Give `asked` with the addresses of the engines, and with secrets where it names none."""
    kept = engines.secrets
    orders, payments = asked.orders, asked.payments
    if not orders.token_secret:
        orders = msgspec.structs.replace(orders, token_secret=kept.order_token)
    keys = asked.keys
    if not keys.signing:
        keys = Keys(
            signing=kept.signing,
            published={name: (_public(key),) for name, key in kept.signing.items()},
        )
    return msgspec.structs.replace(
        asked,
        database_urls=engines.database_urls | dict(asked.database_urls),
        nats_urls=engines.nats_urls | dict(asked.nats_urls),
        keys=keys,
        orders=orders,
        payments=payments,
    )


def one_process(home: Home, settings: Config) -> Child:
    """Give the one process that runs every service."""
    return _process(home, "shop", settings)


def process_per_service(home: Home, settings: Config) -> list[Child]:
    """Give a process per service on loopback ports, the gateway last.

    Each is told its own secrets only, and where the others are.
    """
    numbers = {"gateway": settings.port}
    for name in config.SERVICES:
        numbers[name] = ports.pick(home.ports().get(name))
        home.remember_port(name, numbers[name])
    addresses = {name: f"http://127.0.0.1:{number}" for name, number in numbers.items()}
    return [
        _process(home, name, _alone(settings, name, numbers[name], addresses))
        for name in (*config.SERVICES, *config.WEB)
    ]


def _alone(settings: Config, name: str, port: int, addresses: Mapping[str, str]) -> Config:
    own_orders = settings.orders if name == "orders" else config.Orders()
    own_payments = settings.payments if name == "payments" else config.Payments()
    return msgspec.structs.replace(
        settings,
        here=(name,),
        elsewhere={other: url for other, url in addresses.items() if other != name},
        host=settings.host if name == "gateway" else "127.0.0.1",
        port=port,
        database_urls=_only(settings.database_urls, name),
        nats_urls=_only(settings.nats_urls, name),
        keys=Keys(signing=_only(settings.keys.signing, name), published=settings.keys.published),
        orders=own_orders,
        payments=own_payments,
    )


def _only(table: Mapping[str, T], name: str) -> dict[str, T]:
    return {name: table[name]} if name in table else {}


def _public(key: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in key.items() if name != "d"}


def _process(home: Home, name: str, settings: Config) -> Child:
    file = home.run / f"{name}.json"
    write_private(file, msgspec.json.format(msgspec.json.encode(settings)))

    async def ready() -> bool:
        return await probe.status_of("127.0.0.1", settings.port, "/readyz") == 200

    return Child(
        name=name,
        command=(sys.executable, "-m", "merkato", "serve", "--config", str(file)),
        log=home.logs / f"{name}.log",
        address=f"{settings.host}:{settings.port}",
        stop_within_s=20,  # 10 s for requests, then what is heard and said
        ready=ready,
        ready_within_s=60,
    )
