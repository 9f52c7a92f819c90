"""The front door: one ASGI app that hands each request to the service it is for."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from structlog.contextvars import bind_contextvars

from merkato.chassis.allowance import Allowances
from merkato.chassis.ask import INSIDE, App, call
from merkato.chassis.edge import (
    answer_bytes,
    answer_problem,
    check_length,
    edge,
    id_of,
    metered,
    refused_to_write,
)
from merkato.chassis.service import Service
from merkato.chassis.tokens import Tokens
from merkato.config import Config
from merkato.contracts.problem import Malformed, NotFound, Problem
from merkato.gateway import pages, routing
from merkato.gateway.documents import guide
from merkato.gateway.documents.served import Documents
from merkato.gateway.headers import FINE, Answers, Fields, Visitors, completed, is_suspect
from merkato.gateway.limits import Limits

STAFF = ("/admin", "/static/admin/")  # where the back office answers
TARGET = "merkato.target"  # in the scope: the service a request is for
PAGES = {"storefront", "admin"}
OWN_PAGES = (  # Swagger UI writes styles into its page
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PLAIN_PAGES = (
    b"default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
    b"frame-ancestors 'none'"
)
METRICS = "/metrics"  # for those who run the shop
READY_S = 3.0  # longest wait for a service to say whether it is ready


def front(config: Config, services: Mapping[str, Service], apps: Mapping[str, App]) -> "Gateway":
    """Make the gateway over the apps of all services, here or elsewhere."""
    return Gateway(config, services, apps)


class Gateway:
    """Knows every service's prefixes, and answers what is no service's. An ASGI 3 application."""

    def __init__(
        self, config: Config, services: Mapping[str, Service], apps: Mapping[str, App]
    ) -> None:
        self._apps, self._others = apps, sorted(apps)
        self._table = routing.prefixes(services)
        self._hidden = routing.for_services_only(services)
        self._documents = Documents(services)
        self._inside = edge("gateway", self._own, self._ready)
        self._elsewhere = config.elsewhere.keys() & services.keys()
        self._allowances = {name: Allowances(one.routes) for name, one in services.items()}
        self._answers = Answers(config)
        settings = config.gateway
        self._visitors = Visitors(settings.trusted_proxies, settings.unlimited)
        self.limits = Limits(settings, Tokens("gateway", None, config.keys.published))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request to whom it is for (ASGI 3)."""
        if scope["type"] != "http":
            return
        if INSIDE in scope:  # our own pages ask; who asked for these was counted already
            await self._app_for(scope)(scope, receive, send)
            return
        try:
            added = self._welcome(scope)
            app = self._app_for(scope)
            is_page = scope[TARGET] in PAGES
            if is_page:
                self._introduce(scope)
            added += self._answers.of_pages() if is_page else self._answers.of_api(scope["headers"])
        except Problem as problem:
            await _refuse(problem, scope, completed(send, self._answers.of_api(scope["headers"])))
            return
        preflight = self._answers.preflight(scope)
        if preflight is not None:
            await answer_bytes(204, b"", b"text/plain", send, preflight)
            return
        sending = completed(send, added)
        if scope[TARGET] in self._elsewhere:
            await self._forward(app, scope, receive, sending)
        else:
            await app(scope, receive, sending)

    async def _forward(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request to another process, within the limits that its edge would set."""
        allowance = self._allowances[scope[TARGET]].of(scope["method"], scope["path"])
        try:
            check_length(scope, allowance.body_max_bytes)
            await app(scope, metered(receive, allowance.body_max_bytes), send)
        except Problem as problem:  # of a body, so nothing is answered yet
            await _refuse(problem, scope, send)

    def _welcome(self, scope: Any) -> Fields:
        """Drop claims of strangers, and count; give the fields that say what is left.

        Raises Malformed and RateLimited.
        """
        fields: Fields = scope["headers"]
        client = scope.get("client")
        address = self._visitors.address(client[0], fields) if client else "127.0.0.1"
        if [1 for name, _ in fields if name not in FINE and is_suspect(name)]:
            scope["headers"] = [one for one in fields if not is_suspect(one[0])]
        if client and address != client[0]:
            scope["client"] = (address, 0)
        if not routing.is_canonical(scope.get("raw_path") or b"/"):
            raise Malformed("This address can be read in two ways.")
        if self._visitors.is_unlimited(address):
            return []
        return self.limits.take(scope, address)

    def _introduce(self, scope: Any) -> None:
        """Tell a service of pages, which may be elsewhere, on whose behalf it will ask us."""
        if client := scope.get("client"):
            said = (b"x-forwarded-for", client[0].encode())
            scope["headers"] = [*scope["headers"], said]

    def _app_for(self, scope: Any) -> App:
        path = scope["path"]
        name = routing.find(self._table, path) or self._for_people(path)
        scope[TARGET] = name
        if path == METRICS and not self._is_ours(scope):
            raise NotFound("There is nothing here.")
        if name is None or self._hidden.match(f"{scope['method']} {path}"):
            return self._inside
        return self._apps[name]

    def _is_ours(self, scope: Any) -> bool:
        """Tell whether a request comes from the networks that nobody counts: our own."""
        client = scope.get("client")
        return client is None or self._visitors.is_unlimited(client[0])

    def _for_people(self, path: str) -> str | None:
        if pages.is_own(path):
            return None
        name = "admin" if path.startswith(STAFF) else "storefront"
        return name if name in self._apps else None

    async def _own(self, scope: Any, receive: Any, send: Any) -> None:
        page = pages.page(scope["path"]) or await self._documents.page(scope["path"])
        if page is None:
            await answer_problem(NotFound("There is nothing here."), send)
        elif not await refused_to_write(scope, send):
            media_type, body = page
            policy = PLAIN_PAGES if scope["path"].startswith(guide.AT) else OWN_PAGES
            fields = [(b"content-security-policy", policy)] if b"html" in media_type else []
            if media_type == b"image/svg+xml":  # a drawing: of the demo shop, or of a diagram
                fields.append((b"cache-control", b"public, max-age=3600"))
            await answer_bytes(200, body, media_type, send, fields)

    async def _ready(self) -> dict[str, str]:
        wrong: dict[str, str] = {}
        answers = await asyncio.gather(*(_ask_ready(self._apps[name]) for name in self._others))
        for name, reasons in zip(self._others, answers, strict=True):
            wrong |= {f"{name}.{what}": why for what, why in reasons.items()}
        return wrong


async def _refuse(problem: Problem, scope: Any, send: Any) -> None:
    """Answer without reading what may still come."""
    request_id = id_of(scope)
    bind_contextvars(request_id=request_id)
    await answer_problem(problem, completed(send, [(b"x-request-id", request_id.encode())]))


async def _ask_ready(app: App) -> dict[str, str]:
    try:
        async with asyncio.timeout(READY_S):
            status, answer = await call(app, "GET", "/readyz", [])
    except Exception as error:
        return {"service": type(error).__name__}
    reasons: dict[str, str] = msgspec.json.decode(answer).get("reasons") or {}
    return reasons if reasons or status == 200 else {"service": f"answers {status}"}
