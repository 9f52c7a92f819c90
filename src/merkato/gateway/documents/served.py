"""The documents as they are served: made once, when first asked for; no file from elsewhere."""

import asyncio
from collections.abc import Mapping
from importlib.resources import files

import msgspec

from merkato.chassis.service import Service
from merkato.gateway.documents import asyncapi, guide, openapi

HTML, JSON = b"text/html; charset=utf-8", b"application/json"
SWAGGER = b"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Requests to this shop</title>
<link rel="stylesheet" href="/docs/static/swagger-ui/swagger-ui.css">
<link rel="icon" href="data:,">
<nav><a href="/docs/pages">Pages</a> <a href="/docs/events">Events</a></nav>
<div id="swagger"></div>
<script src="/docs/static/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/docs/static/docs.js"></script></html>
"""
FILES = {
    "docs.css": b"text/css; charset=utf-8",
    "docs.js": b"text/javascript; charset=utf-8",
    "swagger-ui/swagger-ui.css": b"text/css; charset=utf-8",
    "swagger-ui/swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
}
STATIC = "/docs/static/"
PATHS = ("/docs", "/docs/events", "/openapi.json", "/asyncapi.json")


class Documents:
    """Makes and keeps what describes the shop."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services
        self._made: dict[str, tuple[bytes, bytes]] = {}

    async def page(self, path: str) -> tuple[bytes, bytes] | None:
        """Give media type and body of a document, None for what is none."""
        if path in self._made:
            return self._made[path]
        if path == guide.AT or path.startswith(guide.AT + "/"):
            return await asyncio.to_thread(guide.page, path)
        if path not in PATHS and path.removeprefix(STATIC) not in FILES:
            return None
        made = self._made[path] = await asyncio.to_thread(self._make, path)
        return made

    def _make(self, path: str) -> tuple[bytes, bytes]:
        match path:
            case "/docs":
                return HTML, SWAGGER
            case "/docs/events":
                return HTML, asyncapi.page(asyncapi.document(self._services)).encode()
            case "/openapi.json":
                return JSON, msgspec.json.encode(openapi.document(self._services))
            case "/asyncapi.json":
                return JSON, msgspec.json.encode(asyncapi.document(self._services))
        name = path.removeprefix(STATIC)
        return FILES[name], files("merkato.gateway").joinpath("static", name).read_bytes()
