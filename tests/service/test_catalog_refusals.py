"""What catalog refuses: callers without the right, and bodies that make no product."""

from uuid import uuid4

import pytest
import pytest_asyncio
from catalog_bodies import PRODUCTS, pointer, simple, writer
from harness import alone, user_token

from merkato.catalog.service import service
from merkato.config import Config


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


async def test_only_staff_write(catalog):
    for token, status in ((None, 401), (user_token(), 403)):
        for method, path in (
            ("POST", PRODUCTS),
            ("PATCH", f"{PRODUCTS}/{uuid4()}"),
            ("DELETE", f"{PRODUCTS}/{uuid4()}"),
            ("PUT", f"{PRODUCTS}/{uuid4()}/variants/A"),
            ("PUT", "/api/v1/variants/A/prices"),
            ("POST", "/api/v1/categories"),
        ):
            answer = await catalog.request(method, path, {}, token=token)
            assert answer.status == status, (method, path, answer)


def with_variant(**changes):
    return simple("x", variants=[{"sku": "X", **changes}])


def with_price(**changes):
    return with_variant(prices=[{"currency": "EUR", "amount_minor": 1, **changes}])


WRONG = [
    (simple("x", texts={}), "/texts"),
    (simple("x", texts={"de": {"title": "Nur deutsch"}}), "/texts"),
    (simple("x", texts={"en": {"title": "!!!"}}), "/texts/en/slug"),
    (simple("x", texts={"en": {"title": "A\x01B"}}), "/texts/.../title"),
    (simple("x", texts={"en": {"title": "A", "slug": "not a slug"}}), "/texts/.../slug"),
    (simple("x", texts={"en": {"title": "A", "slug": str(uuid4())}}), "/texts/en/slug"),
    (simple("x", status="sold"), "/status"),
    (simple("x", surprise=1), ""),
    (simple("x", attributes={"a": 1.5}), "/attributes/..."),
    (simple("x", attributes={"a": 10**30}), "/attributes/..."),
    (simple("x", attributes={str(n): n for n in range(51)}), "/attributes"),
    (simple("x", categories=[str(uuid4())]), "/categories"),
    (simple("x", options=[{"name": "a", "values": ["b", "b"]}]), "/options/0/values"),
    (simple("x", variants=[{"sku": f"S{n}"} for n in range(101)]), "/variants"),
    (with_variant(sku="with space"), "/variants/0/sku"),
    (with_variant(sku=""), "/variants/0/sku"),
    (with_variant(weight_g=-1), "/variants/0/weight_g"),
    (with_variant(image="javascript:alert(1)"), "/variants/0/image"),
    (with_price(amount_minor=-1), "/variants/0/prices/0/amount_minor"),
    (with_price(amount_minor=10**13), "/variants/0/prices/0/amount_minor"),
    (with_price(amount_minor=1.5), "/variants/0/prices/0/amount_minor"),
    (with_price(amount_minor="1"), "/variants/0/prices/0/amount_minor"),
    (with_price(currency="eur"), "/variants/0/prices/0/currency"),
    (with_price(from_quantity=0), "/variants/0/prices/0/from_quantity"),
    (with_price(price_list="vip"), "/variants/0/prices/0/price_list"),
    (with_price(valid_from="2026-01-01T00:00:00"), "/variants/0/prices/0/valid_from"),
    (with_price(valid_from="0001-01-01T00:00:00+14:00"), "/variants/0/prices/0/valid_from"),
    (with_price(valid_from="9999-12-31T23:59:59-14:00"), "/variants/0/prices/0/valid_from"),
]


@pytest.mark.parametrize(("body", "where"), WRONG)
async def test_what_is_wrong_is_pointed_at(catalog, body, where):
    answer = await writer(catalog)("POST", PRODUCTS, body)
    assert (answer.status, pointer(answer)) == (422, where), answer
    assert await catalog.said() == []


async def test_what_cannot_be_read_is_malformed(catalog):
    send = writer(catalog)
    for body in (b"{", b"\xff", b'{"status": NaN}', b"[" * 100_000):
        assert (await send("POST", PRODUCTS, body)).status == 400, body[:20]
    for body in (b"[]", b"null", b'"x"', b"{}"):
        assert (await send("POST", PRODUCTS, body)).status == 422, body
    nul = await send("POST", PRODUCTS, b'{"texts": {"en": {"title": "a\\u0000"}}}')
    assert nul.status == 422
    for name in ("%F0%9F%8D%B5", "x" * 3_000, "..", "a b", "-", "0" * 36):
        assert (await catalog.request("GET", f"{PRODUCTS}/{name}")).status == 404, name
    assert (await send("PUT", f"{PRODUCTS}/not-an-id/variants/A", {})).status in (404, 422)
    assert (await send("PUT", f"{PRODUCTS}/{uuid4()}/variants/a%20b", {})).status in (404, 422)
