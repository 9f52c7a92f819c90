"""What the gateway answers itself, for the documents."""

from typing import Any

_READY = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ok", "degraded", "not ready"]},
        "reasons": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["status", "reasons"],
}


def _page(name: str, summary: str, media_type: str, schema: object = None, **more: Any) -> Any:
    content = {media_type: {"schema": schema} if schema else {}}
    return {
        "get": {
            "operationId": f"gateway.{name}",
            "tags": ["gateway"],
            "summary": summary,
            "security": [],
            "responses": {"200": {"description": "OK", "content": content}},
            **more,
        }
    }


_JSON, _HTML = "application/json", "text/html"
OWN_PATHS: dict[str, Any] = {
    "/ping": _page(
        "ping", "Answer, whatever else is the matter.", _JSON,
        {"type": "object", "properties": {"ping": {"const": "pong"}}, "required": ["ping"]},
    ),
    "/livez": _page("livez", "Tell whether this process lives.", _JSON, _READY),
    "/readyz": _page(
        "readyz", "Tell whether every service can do its work, and if not, what is missing.",
        _JSON, _READY,
        responses={
            "200": {"description": "Ready, or degraded", "content": {_JSON: {"schema": _READY}}},
            "503": {"description": "Not ready", "content": {_JSON: {"schema": _READY}}},
        },
    ),
    "/metrics": _page(
        "metrics", "Give measurements for Prometheus; for networks of `gateway.unlimited` only.",
        "text/plain",
        responses={
            "200": {"description": "OK", "content": {"text/plain": {}}},
            "404": {"$ref": "#/components/responses/not-found"},
        },
    ),
    "/docs": _page("docs", "Read this document and try it out.", _HTML),
    "/docs/events": _page("docs_events", "Read what events there are.", _HTML),
    "/docs/pages": _page("docs_pages", "List the pages that explain the shop.", _HTML),
    "/docs/pages/{name}": _page(
        "docs_page", "Read one of these pages.", _HTML,
        parameters=[
            {
                "name": "name", "in": "path", "required": True, "example": "gateway",
                "schema": {"type": "string"},
            }
        ],
        responses={
            "200": {"description": "OK", "content": {_HTML: {}, "image/svg+xml": {}}},
            "404": {"$ref": "#/components/responses/not-found"},
        },
    ),
    "/asyncapi.json": _page("asyncapi", "Describe the events.", _JSON, {"type": "object"}),
    "/openapi.json": _page("openapi", "Give this document.", _JSON, {"type": "object"}),
    "/problems/{slug}": _page(
        "problem", "Explain a problem.", _HTML,
        parameters=[
            {
                "name": "slug", "in": "path", "required": True, "example": "out-of-stock",
                "schema": {"type": "string"},
            }
        ],
        responses={
            "200": {"description": "OK", "content": {_HTML: {}}},
            "404": {"$ref": "#/components/responses/not-found"},
        },
    ),
}  # fmt: skip
