"""The Python client sends what the OpenAPI document describes."""

import asyncio
import inspect
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from merkato import config, topology
from merkato.client import Client, NoAnswer, Refused
from merkato.gateway.documents import openapi
from merkato.replay.shelves import Shelves

DOCUMENT = openapi.document(topology.services(config.Config(here=("gateway",))))
IDS = {
    "log_in": "users.log_in", "register": "users.register", "products": "catalog.list_products",
    "product": "catalog.read_product", "create_product": "catalog.create_product",
    "put_stock": "inventory.put_stock", "create_cart": "orders.create_cart",
    "add_line": "orders.add_line", "place_order": "orders.place_order",
    "get_order": "orders.get_order", "list_orders": "orders.list_orders",
    "cancel_order": "orders.cancel_order", "credit": "orders.credit", "ship": "orders.ship",
    "take_back": "orders.request_return", "stock": "inventory.get_stock",
    "adjust_stock": "inventory.adjust_stock", "set_prices": "catalog.set_prices",
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


@pytest.fixture
async def busy_shop():
    """A shop elsewhere that says what it is told to, one answer after the other."""
    said, heard = [], []

    async def answer(request):
        heard.append((request.headers.get("idempotency-key"), request.query_string))
        status, body, fields = said.pop(0)
        return web.json_response(body, status=status, headers=fields)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/")), said, heard


OVERLOADED = (503, {"type": "/problems/overloaded", "detail": "busy"}, {"retry-after": "0"})
SAME = (409, {"type": "/problems/request-in-progress", "detail": "soon"}, {})
DONE = (202, {"id": "1"}, {})


async def test_what_may_be_repeated_is_under_the_same_key(busy_shop):
    url, said, heard = busy_shop
    said += [OVERLOADED, SAME, DONE]
    async with Client(url) as shop:
        assert await shop.place_order({"lines": []}) == {"id": "1"}
    [key] = {key for key, _ in heard}
    assert len(heard) == 3
    assert len(key) >= 16


async def test_a_write_without_a_key_is_sent_once(busy_shop):
    url, said, heard = busy_shop
    said += [OVERLOADED, DONE]
    async with Client(url) as shop:
        with pytest.raises(Refused, match=r"POST .*: 503 busy") as refused:
            await shop.add_line("c", "A")
    assert (refused.value.status, refused.value.slug) == (503, "overloaded")
    assert len(heard) == 1


async def test_patience_ends(busy_shop):
    url, said, heard = busy_shop
    said += [OVERLOADED] * 100
    async with Client(url, patience_s=0.5) as shop:
        with pytest.raises(NoAnswer, match="busy"):
            await shop.products(q="mug")
    assert 2 <= len(heard) < 10
    async with Client("http://127.0.0.1:9", patience_s=0.1) as nobody:
        with pytest.raises(NoAnswer):
            await nobody.products()


async def test_patience_does_not_begin_while_waiting_for_a_place(busy_shop):
    url, said, _ = busy_shop
    said += [DONE] * 3 + [OVERLOADED] * 3 + [DONE] * 3
    async with Client(url, patience_s=0.3, at_once=1) as shop:
        async with shop._places:
            waiting = [asyncio.create_task(shop.place_order({"lines": []})) for _ in range(6)]
            await asyncio.sleep(0.5)
        assert await asyncio.gather(*waiting) == [DONE[1]] * 6


async def test_a_replay_that_cannot_fill_the_shelves_says_why(busy_shop):
    url, said, _ = busy_shop
    said += [(200, {"items": []}, {})] + [OVERLOADED] * 100
    async with Client(url, patience_s=0.1) as shop:
        with pytest.raises(NoAnswer, match="busy"):
            await Shelves(shop, "file", "EUR").fill({}, {"A": 1, "B": 2})


async def test_refusals_say_where_the_mistakes_are(busy_shop):
    url, said, _ = busy_shop
    mistake = {"pointer": "/lines/0/quantity", "detail": "Expected `int` >= 1"}
    said.append((422, {"type": "/problems/validation", "detail": "No.", "errors": [mistake]}, {}))
    async with Client(url) as shop:
        with pytest.raises(Refused, match=r"No\.; /lines/0/quantity Expected"):
            await shop.place_order({})


async def test_lists_in_a_query_are_sent_one_by_one(busy_shop):
    url, said, heard = busy_shop
    said.append((200, {"items": []}, {}))
    async with Client(url, at_once=1) as shop:
        await shop.stock(sku=["A", "B"], low=None)
    assert heard[0][1] == "sku=A&sku=B"
