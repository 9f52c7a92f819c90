"""The Python client sends what the OpenAPI document describes."""

import inspect
import re

import pytest

from merkato import config, topology
from merkato.client import Client
from merkato.gateway.documents import openapi

DOCUMENT = openapi.document(topology.services(config.Config(here=("gateway",))))
IDS = {
    "log_in": "users.log_in", "register": "users.register", "products": "catalog.list_products",
    "product": "catalog.read_product", "create_product": "catalog.create_product",
    "put_stock": "inventory.put_stock", "create_cart": "orders.create_cart",
    "add_line": "orders.add_line", "place_order": "orders.place_order",
    "get_order": "orders.get_order", "list_orders": "orders.list_orders",
    "cancel_order": "orders.cancel_order", "credit": "orders.credit",
}  # fmt: skip
VALUES = {"email": "a@b.example", "password": "p", "on_hand": 1, "quantity": 2, "reason": "r"}
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


class Recorder(Client):
    """Notes what would be sent."""

    async def send(self, method, path, body=None, *, query=None, key=None, headers=None):
        self.sent = (method, path, body, query or {}, key, headers or {})
        return {"access_token": "t"}


def methods():
    found = [n for n, one in vars(Client).items() if inspect.iscoroutinefunction(one)]
    return [name for name in found if not name.startswith("_")]


def test_every_method_is_an_operation():
    assert sorted(methods()) == sorted(IDS)
    assert set(IDS.values()) <= OPERATIONS.keys(), set(IDS.values()) - OPERATIONS.keys()


@pytest.mark.parametrize("name", IDS)
async def test_a_method_sends_what_is_documented(name):
    client = Recorder("http://shop.example")
    method, path, operation = OPERATIONS[IDS[name]]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    call = getattr(client, name)
    given = {}
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given["limit" if name != "product" else "locale"] = "2"
        elif "Mapping" in str(parameter.annotation):
            given[parameter.name] = content["example"]
        elif parameter.default is inspect.Parameter.empty or parameter.name in VALUES:
            given[parameter.name] = VALUES.get(parameter.name, "x/y")
        elif "token" in parameter.name:
            given[parameter.name] = "guest"
    await call(**given)
    sent_method, sent_path, body, query, key, headers = client.sent
    assert sent_method == method
    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), sent_path), sent_path
    known = {one["name"].lower(): one for one in operation.get("parameters", [])}
    assert query.keys() <= known.keys()
    if known.get("idempotency-key", {}).get("required"):
        assert key is not None, "a repeat must be harmless"
    assert key is None or "idempotency-key" in known
    security = {next(iter(one)) for one in operation["security"] if one}
    for header, scheme in (("x-cart-token", "cart-token"), ("x-order-token", "order-token")):
        assert header not in headers or scheme in security
    if body is not None:
        schema = content["schema"]
        while "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        assert body.keys() <= schema["properties"].keys()
        assert set(schema.get("required", ())) <= body.keys()
