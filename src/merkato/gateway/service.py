"""The front door: one ASGI app that hands each request to the service it is for."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from merkato.chassis.ask import App, call
from merkato.chassis.edge import answer_bytes, answer_problem, edge
from merkato.chassis.service import Service
from merkato.contracts.problem import Malformed, NotFound
from merkato.gateway import pages, routing

READY_S = 3.0  # longest wait for a service to say whether it is ready


def front(services: Mapping[str, Service], apps: Mapping[str, App]) -> App:
    """Make the gateway's app over the apps of all services, here or elsewhere."""
    table, others = routing.prefixes(services), sorted(apps)
    hidden = routing.for_services_only(services)

    async def ready() -> dict[str, str]:
        wrong: dict[str, str] = {}
        answers = await asyncio.gather(*(_ask_ready(apps[name]) for name in others))
        for name, reasons in zip(others, answers, strict=True):
            wrong |= {f"{name}.{what}": why for what, why in reasons.items()}
        return wrong

    def for_people(path: str) -> str | None:
        return "storefront" if "storefront" in apps and not pages.is_own(path) else None

    inside = edge("gateway", _own, ready)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        name = routing.find(table, scope["path"]) or for_people(scope["path"])
        if name is None or not routing.is_canonical(scope.get("raw_path") or b"/"):
            await (inside if name is None else crooked)(scope, receive, send)
        elif hidden.match(f"{scope['method']} {scope['path']}"):
            await inside(scope, receive, send)
        else:
            await apps[name](scope, receive, send)

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await answer_problem(Malformed("This address can be read in two ways."), send)

    crooked = edge("gateway", refuse, ready)
    return app


async def _own(scope: Any, receive: Any, send: Any) -> None:
    page = pages.page(scope["path"])
    if page is None:
        await answer_problem(NotFound("There is nothing here."), send)
    else:
        await answer_bytes(200, page[1], page[0], send)


async def _ask_ready(app: App) -> dict[str, str]:
    try:
        async with asyncio.timeout(READY_S):
            status, answer = await call(app, "GET", "/readyz", [])
    except Exception as error:
        return {"service": type(error).__name__}
    reasons: dict[str, str] = msgspec.json.decode(answer).get("reasons") or {}
    return reasons if reasons or status == 200 else {"service": f"answers {status}"}
