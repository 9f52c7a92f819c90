"""What `up` runs: the configuration of the shop, and the processes made of it."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from merkato import config
from merkato.chassis.engines import ports
from merkato.chassis.engines.home import Home, Secrets, write_private
from merkato.chassis.engines.start import Engines
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
    orders = asked.orders
    if not orders.token_secret:
        orders = msgspec.structs.replace(orders, token_secret=kept.order_token)
    users = asked.users
    if not users.totp_key:
        users = msgspec.structs.replace(users, totp_key=kept.totp)
    storefront = asked.storefront
    if not storefront.session_secret:
        storefront = msgspec.structs.replace(storefront, session_secret=kept.session)
    broker = asked.broker
    if not broker.secret_keys:
        broker = msgspec.structs.replace(broker, secret_keys=(kept.webhook_key,))
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
        users=users,
        orders=orders,
        storefront=storefront,
        broker=broker,
    )


def stand_ins(home: Home, settings: Config, kept: Secrets) -> tuple[Config, Child]:
    """Give the stand-ins' process, and `settings` that use it.

    The customary ports of such a mailbox, 8025 and 1025, and the next one are used when free.
    """
    numbers = {"mailbox": 8025, "smtp": 1025, "processor": 0, "telephones": 8026} | home.ports()
    for name in ("mailbox", "smtp", "processor", "telephones"):
        numbers[name] = ports.pick(numbers[name])
        home.remember_port(name, numbers[name])
    folder = home.path / "outside"
    folder.mkdir(exist_ok=True, mode=0o700)
    outside = {  # merkato.outside.running.Outside, whose import would slow every start down
        "folder": str(folder),
        "processor_port": numbers["processor"],
        "mailbox_smtp_port": numbers["smtp"],
        "mailbox_port": numbers["mailbox"],
        "gateway_port": numbers["telephones"],
        "gateway_secret": kept.gateway_secret,
        "api_key": kept.stripe_key,
        "webhook_secret": kept.stripe_webhook_secret,
        "webhook_url": f"http://127.0.0.1:{settings.port}/api/v1/payments/webhooks/stripe",
        "environment": settings.environment,
    }
    file = home.run / "outside.json"
    write_private(file, msgspec.json.format(msgspec.json.encode(outside)))

    async def ready() -> bool:
        pages = (numbers["mailbox"], numbers["processor"], numbers["telephones"])
        told = await asyncio.gather(*(probe.status_of("127.0.0.1", one, "/") for one in pages))
        return None not in told

    child = Child(
        name="outside",
        command=(sys.executable, "-m", "merkato", "outside", "--config", str(file)),
        log=home.logs / "outside.log",
        address=f"127.0.0.1:{numbers['mailbox']}",
        ready=ready,
        yields=True,
    )
    return using_stand_ins(settings, kept, "127.0.0.1", numbers), child


def using_stand_ins(
    settings: Config, kept: Secrets, host: str, numbers: Mapping[str, int]
) -> Config:
    """Give `settings` that pay, mail and text by the stand-ins at `host`, on these ports."""
    telephones = config.MessageGateway(
        url=f"http://{host}:{numbers['telephones']}/messages", secret=kept.gateway_secret
    )
    return msgspec.structs.replace(
        settings,
        payments=msgspec.structs.replace(
            settings.payments,
            stripe_url=f"http://{host}:{numbers['processor']}",
            stripe_key=kept.stripe_key,
            stripe_webhook_secret=kept.stripe_webhook_secret,
        ),
        notifications=msgspec.structs.replace(
            settings.notifications,
            smtp_url=f"smtp://{host}:{numbers['smtp']}",
            gateways=settings.notifications.gateways or {"sms": telephones, "push": telephones},
        ),
    )


def one_process(home: Home, settings: Config) -> Child:
    """Give the one process that runs every service."""
    return _process(home, "shop", settings)


def process_per_service(home: Home, settings: Config) -> list[Child]:
    """Give a process per service on loopback ports, the gateway last.

    Each is told its own secrets only, and where the others are.
    """
    numbers = {"gateway": settings.port}
    for name in (*config.SERVICES, *config.WEB):
        if name in numbers:
            continue
        numbers[name] = ports.pick(home.ports().get(name))
        home.remember_port(name, numbers[name])
    addresses = {name: f"http://127.0.0.1:{number}" for name, number in numbers.items()}
    return [
        _process(
            home,
            name,
            alone(
                settings,
                name,
                addresses,
                settings.host if name == "gateway" else "127.0.0.1",
                numbers[name],
                "127.0.0.1/32",
            ),
        )
        for name in (*config.SERVICES, *config.WEB)
    ]


def alone(
    settings: Config, name: str, addresses: Mapping[str, str], host: str, port: int, network: str
) -> Config:
    """Give the settings of a service that is a process of its own: its secrets, nobody else's.

    It listens on `host` and `port`, finds the others at `addresses` (URLs by name), and believes
    proxies of `network` (CIDR) about who is asking: other processes speak for whoever asks them.
    """
    # payments shows a guest the payment of an order by the order's token, so it has the key too
    own_orders = settings.orders if name in ("orders", "payments") else config.Orders()
    own_payments = settings.payments if name == "payments" else config.Payments()
    own_users = settings.users
    if name != "users":
        own_users = msgspec.structs.replace(own_users, totp_key="")
    own_pages = settings.storefront
    if name not in ("storefront", "admin"):
        own_pages = msgspec.structs.replace(own_pages, session_secret="")
    return msgspec.structs.replace(
        settings,
        here=(name,),
        elsewhere={other: url for other, url in addresses.items() if other != name},
        host=host,
        port=port,
        database_urls=_only(settings.database_urls, name),
        nats_urls=_only(settings.nats_urls, name),
        keys=Keys(signing=_only(settings.keys.signing, name), published=settings.keys.published),
        users=own_users,
        orders=own_orders,
        broker=settings.broker if name == "broker" else config.Broker(),
        payments=own_payments,
        storefront=own_pages,
        gateway=msgspec.structs.replace(
            settings.gateway, trusted_proxies=(*settings.gateway.trusted_proxies, network)
        ),
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
