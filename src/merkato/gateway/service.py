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
from merkato.gateway.documents.served import Documents

STAFF = ("/admin", "/static/admin/")  # where the back office answers
READY_S = 3.0  # longest wait for a service to say whether it is ready


def front(services: Mapping[str, Service], apps: Mapping[str, App]) -> App:
    """Make the gateway's app over the apps of all services, here or elsewhere."""
    return Gateway(services, apps)


class Gateway:
    """Knows every service's prefixes, and answers what is no service's."""

    def __init__(self, services: Mapping[str, Service], apps: Mapping[str, App]) -> None:
        self._apps, self._others = apps, sorted(apps)
        self._table = routing.prefixes(services)
        self._hidden = routing.for_services_only(services)
        self._documents = Documents(services)
        self._inside = edge("gateway", self._own, self._ready)
        self._crooked = edge("gateway", _refuse, self._ready)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request to whom it is for (ASGI 3)."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        name = routing.find(self._table, path) or self._for_people(path)
        if name is None:
            await self._inside(scope, receive, send)
        elif not routing.is_canonical(scope.get("raw_path") or b"/"):
            await self._crooked(scope, receive, send)
        elif self._hidden.match(f"{scope['method']} {path}"):
            await self._inside(scope, receive, send)
        else:
            await self._apps[name](scope, receive, send)

    def _for_people(self, path: str) -> str | None:
        if pages.is_own(path):
            return None
        name = "admin" if path.startswith(STAFF) else "storefront"
        return name if name in self._apps else None

    async def _own(self, scope: Any, receive: Any, send: Any) -> None:
        page = pages.page(scope["path"]) or await self._documents.page(scope["path"])
        if page is None:
            await answer_problem(NotFound("There is nothing here."), send)
        else:
            await answer_bytes(200, page[1], page[0], send)

    async def _ready(self) -> dict[str, str]:
        wrong: dict[str, str] = {}
        answers = await asyncio.gather(*(_ask_ready(self._apps[name]) for name in self._others))
        for name, reasons in zip(self._others, answers, strict=True):
            wrong |= {f"{name}.{what}": why for what, why in reasons.items()}
        return wrong


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    await answer_problem(Malformed("This address can be read in two ways."), send)


async def _ask_ready(app: App) -> dict[str, str]:
    try:
        async with asyncio.timeout(READY_S):
            status, answer = await call(app, "GET", "/readyz", [])
    except Exception as error:
        return {"service": type(error).__name__}
    reasons: dict[str, str] = msgspec.json.decode(answer).get("reasons") or {}
    return reasons if reasons or status == 200 else {"service": f"answers {status}"}
