"""The requests of the shop as a Postman collection (v2.1), made from the OpenAPI document.

Its first folder is a purchase: each request checks its answer and keeps what the next one needs.
All others are in a folder per service, with the document's examples.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Json = dict[str, Any]
SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
VARIABLES = {
    "base_url": "http://127.0.0.1:8000",
    "token": "",
    "cart_token": "",
    "order_token": "",
}
TOKENS = {
    "cart-token": ("X-Cart-Token", "cart_token"),
    "order-token": ("X-Order-Token", "order_token"),
}
ADDRESS = {
    "name": "Ada Lund", "lines": ["1 Quay Street"], "city": "Bremen", "postal_code": "28195",
    "country": "DE",
}  # fmt: skip


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A request of the purchase."""

    name: str
    call: str  # METHOD path
    status: int  # what it must be answered with
    values: Mapping[str, str] = {}  # of parameters in the path and the query
    body: Any = None
    keeps: Mapping[
        str, str
    ] = {}  # variable -> where it stands in the answer, as JavaScript says it


PURCHASE = (
    Step(
        name="Look for something", call="GET /api/v1/products", status=200,
        values={"q": "mug", "currency": "EUR", "limit": "1"}, keeps={"slug": "items[0].slug"},
    ),
    Step(
        name="Look at it", call="GET /api/v1/products/{product_id}", status=200,
        values={"product_id": "{{slug}}", "currency": "EUR"}, keeps={"sku": "variants[0].sku"},
    ),
    Step(
        name="Take a cart", call="POST /api/v1/carts", status=201, body={"currency": "EUR"},
        keeps={"cart_id": "id", "cart_token": "token"},
    ),
    Step(
        name="Put it in", call="POST /api/v1/carts/{cart_id}/lines", status=201,
        values={"cart_id": "{{cart_id}}"}, body={"sku": "{{sku}}", "quantity": 1},
    ),
    Step(
        name="Look at the cart", call="GET /api/v1/carts/{cart_id}", status=200,
        values={"cart_id": "{{cart_id}}"}, keeps={"cart_version": "version"},
    ),
    Step(
        name="Order it", call="POST /api/v1/orders", status=202,
        body={
            "cart_id": "{{cart_id}}", "cart_version": "{{cart_version}}",
            "contact": {"email": "ada@merkato.example", "name": "Ada Lund"},
            "shipping_address": ADDRESS, "shipping_method": "standard",
            "payment": {"method": "on_account"},
        },
        keeps={"order_id": "id", "order_token": "token"},
    ),
    Step(
        name="Read the order", call="GET /api/v1/orders/{order_id}", status=200,
        values={"order_id": "{{order_id}}"},
    ),
    Step(
        name="Read how it came about", call="GET /api/v1/orders/{order_id}/timeline", status=200,
        values={"order_id": "{{order_id}}"},
    ),
)  # fmt: skip


def collection(document: Json) -> Json:
    """Make the collection. It is the same for the same document."""
    folders: dict[str, list[Json]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            folders[operation["tags"][0]].append(_item(method.upper(), path, operation))
    said = {tag["name"]: tag["description"] for tag in document["tags"]}
    services = [
        {"name": name, "description": said[name], "item": items} for name, items in folders.items()
    ]
    kept = [name for step in PURCHASE for name in step.keeps if name not in VARIABLES]
    return {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}],
        },
        "variable": [
            {"key": name, "value": VARIABLES.get(name, "")} for name in (*VARIABLES, *kept)
        ],
        "item": [{"name": "A purchase", "item": list(_purchase(document["paths"]))}, *services],
    }


def _purchase(paths: Mapping[str, Json]) -> Iterator[Json]:
    for step in PURCHASE:
        method, _, path = step.call.partition(" ")
        item = _item(method, path, paths[path][method.lower()], step)
        lines = [
            f'pm.test("answers {step.status}", () => pm.response.to.have.status({step.status}));',
            *(
                f'pm.collectionVariables.set("{name}", pm.response.json().{place});'
                for name, place in step.keeps.items()
            ),
        ]
        script = {"type": "text/javascript", "exec": lines}
        yield {**item, "event": [{"listen": "test", "script": script}]}


def _item(method: str, path: str, operation: Json, step: Step | None = None) -> Json:
    request: Json = {
        "method": method,
        "url": _url(path, operation, step.values if step else None),
        "header": list(_header(operation)),
        "description": operation.get("description", operation["summary"]),
    }
    names = {name for one in operation["security"] for name in one}
    if not names & {"token", "api-key"} or step:
        request["auth"] = {"type": "noauth"}
    content = operation.get("requestBody", {}).get("content", {})
    for kind, said in [*content.items()][:1]:  # where several would do, the usual one
        shown = step.body if step else said.get("example", "")
        request["header"].append({"key": "Content-Type", "value": kind})
        request["body"] = {"mode": "raw", "raw": _raw(shown)}
    return {"name": step.name if step else operation["summary"], "request": request}


def _shown(parameter: Json) -> str:
    """Write a parameter's example or default as it stands in an address."""
    value = parameter.get("example", parameter["schema"].get("default", ""))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _raw(shown: Any) -> str:
    if isinstance(shown, str):
        return shown
    text = msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
    return re.sub(r'"({{\w+_version}})"', r"\1", text)  # a number, once it is put in


def _header(operation: Json) -> Iterator[Json]:
    for one in operation.get("parameters", ()):
        if one["in"] == "header":
            fresh = one["name"] == "Idempotency-Key"
            value = "{{$guid}}" if fresh else _shown(one)
            yield {
                "key": one["name"],
                "value": value,
                "disabled": not one["required"] and not fresh,
            }
    for scheme in {name: None for one in operation["security"] for name in one}:
        if scheme in TOKENS:
            name, variable = TOKENS[scheme]
            yield {"key": name, "value": f"{{{{{variable}}}}}"}


def _url(path: str, operation: Json, values: Mapping[str, str] | None) -> Json:
    segments = re.sub(r"\{([^}]+)\}", r":\1", path).strip("/").split("/")
    variable, query = [], []
    for one in operation.get("parameters", ()):
        name, shown = one["name"], _shown(one)
        if one["in"] == "path":
            variable.append({"key": name, "value": values.get(name, shown) if values else shown})
        elif one["in"] == "query":
            wanted = name in values if values is not None else one["required"]
            value = values.get(name, shown) if values else shown
            query.append({"key": name, "value": value, "disabled": not wanted})
    asked = "&".join(f"{one['key']}={one['value']}" for one in query if not one["disabled"])
    raw = "{{base_url}}/" + "/".join(segments) + (f"?{asked}" if asked else "")
    return {
        "raw": raw,
        "host": ["{{base_url}}"],
        "path": segments,
        "query": query,
        "variable": variable,
    }
