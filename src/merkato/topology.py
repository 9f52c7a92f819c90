"""Which services run in this process and where the others are. The only file that knows them all.

A service is an ASGI app. One that runs elsewhere is an ASGI app that forwards.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from merkato.admin.service import web as admin
from merkato.broker.service import service as broker
from merkato.catalog.service import service as catalog
from merkato.chassis import counts, failpoints, load, telemetry
from merkato.chassis.ask import App
from merkato.chassis.remote import remote
from merkato.chassis.service import Place, Service, running
from merkato.chassis.tokens import Tokens
from merkato.chassis.web import Assets, Web, web_app
from merkato.config import SERVICES, Config
from merkato.gateway.service import front
from merkato.inventory.service import service as inventory
from merkato.notifications.service import service as notifications
from merkato.orders.service import service as orders
from merkato.payments.service import service as payments
from merkato.storefront.service import web as storefront
from merkato.users.service import service as users

MAKERS: Mapping[str, Callable[[Config], Service]] = {
    "catalog": catalog,
    "inventory": inventory,
    "notifications": notifications,
    "orders": orders,
    "payments": payments,
    "users": users,
}

WEBS: Mapping[str, Callable[[Config, Assets], Web]] = {"admin": admin, "storefront": storefront}


def services(config: Config) -> dict[str, Service]:
    """Put every service together, here or not; the broker is told who hears what."""
    made = {name: make(config) for name, make in MAKERS.items()}
    heard: dict[str, list[str]] = {}
    for name, one in made.items():
        for event in one.hears:
            heard.setdefault(event.type, []).append(name)
    return {**made, "broker": broker(config, heard)}


@asynccontextmanager
async def started(config: Config) -> AsyncIterator[App]:
    """Start what lives here. Gives the ASGI app of the gateway, or of the one service here."""
    telemetry.configure(config.log_level)
    failpoints.arm(config.failpoints if config.environment == "development" else {})
    apps: dict[str, App] = {}
    every = services(config)
    async with AsyncExitStack() as stack:
        for name, url in config.elsewhere.items():
            apps[name] = await stack.enter_async_context(remote(url))
        for name in config.here:
            if name in every:
                here = running(every[name], _place(config, name, apps))
                apps[name] = await stack.enter_async_context(here)
        watch = asyncio.create_task(load.watch_load())
        stack.callback(watch.cancel)
        for name in config.here:
            if name in WEBS:
                apps[name] = _pages(config, name, apps)
        if "gateway" in config.here:
            gateway = apps["gateway"] = front(config, every, apps)
            if "gateway" in config.nats_urls:
                tell, hear = gateway.limits.tell, gateway.limits.hear
                telling = counts.told(config.nats_urls["gateway"], "gateway", tell, hear)
                await stack.enter_async_context(telling)
            yield gateway
        else:
            yield apps[config.here[0]]


def _pages(config: Config, name: str, apps: Mapping[str, App]) -> App:
    """Give the app of a service of pages; it uses the published API, as anybody would."""

    async def api(scope: object, receive: object, send: object) -> None:
        await apps["gateway"](scope, receive, send)

    assets = Assets(name)
    secure = config.public_url.startswith("https://")
    secret = config.storefront.session_secret
    return web_app(WEBS[name](config, assets), api, secret, assets, secure=secure)


def _place(config: Config, name: str, apps: Mapping[str, App]) -> Place:
    return Place(
        database_url=config.database_urls[name],
        nats_url=config.nats_urls[name],
        sources=(*SERVICES, "external"),
        tokens=Tokens(name, config.keys.signing.get(name), config.keys.published),
        apps=apps,
        pool_max=config.pool_max,
    )
