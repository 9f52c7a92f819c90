"""What the back office asks about goods, and what it has the catalogue change."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from merkato.admin.store import maybe
from merkato.chassis.visit import Api, segment

RECORDS = "/api/v1/product-records"
PRODUCTS = "/api/v1/products"
CATEGORIES = "/api/v1/categories"
PRICES = "/api/v1/prices"
PRICE_LISTS = "/api/v1/price-lists"
STOCK = "/api/v1/stock"
AT_ONCE = 100  # items of a page of the API, at most


async def records(api: Api, query: Mapping[str, Any]) -> dict[str, Any]:
    """Give a page of products as they are kept."""
    found: dict[str, Any] = await api.get(RECORDS, **query)
    return found


async def ids_of(api: Api, query: Mapping[str, Any], most: int) -> list[str]:
    """Give the ids of all products that a filter finds, `most` and one more at most."""
    found: list[str] = []
    cursor = None
    while len(found) <= most:
        page = await records(api, {**query, "limit": AT_ONCE, "cursor": cursor})
        found += [one["id"] for one in page["items"]]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    return found[: most + 1]


async def titles(api: Api, skus: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Map skus to the products that have them; for staff who may not see them none."""
    found: dict[str, dict[str, Any]] = {}
    for begin in range(0, len(skus), AT_ONCE):
        some = list(skus[begin : begin + AT_ONCE])
        page = await maybe(api, RECORDS, sku=some, limit=AT_ONCE)
        for product in (page or {}).get("items", ()):
            found |= {variant["sku"]: product for variant in product["variants"]}
    return found


async def change_many(api: Api, ids: Sequence[str], change: Mapping[str, Any], key: str) -> int:
    """Change products, all or none; give how many are others now."""
    answer = await api.send("PATCH", RECORDS, {"ids": list(ids), **change}, key=key)
    return int(answer["changed"])


async def prices_of(
    api: Api, ids: Sequence[str], price_list: str, currency: str
) -> list[dict[str, Any]]:
    """List the prices in force of products on a list."""
    query = {"price_list": price_list, "currency": currency, "limit": AT_ONCE}

    async def priced(some: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await api.get(PRICES, product=some, cursor=cursor, **query)
            found += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return found

    parts = (list(ids[begin : begin + AT_ONCE]) for begin in range(0, len(ids), AT_ONCE))
    return [one for part in await asyncio.gather(*map(priced, parts)) for one in part]


async def set_prices(api: Api, rows: Sequence[Mapping[str, Any]], key: str) -> int:
    """Set prices, all or none; give how many are others now."""
    answer = await api.send("POST", PRICES, {"items": list(rows)}, key=key)
    return int(answer["changed"])


async def price_lists(api: Api) -> list[dict[str, Any]]:
    """List all price lists."""
    found: list[dict[str, Any]] = (await api.get(PRICE_LISTS))["items"]
    return found


async def tree(api: Api) -> list[dict[str, Any]]:
    """Give the tree of categories."""
    found: list[dict[str, Any]] = (await api.get(CATEGORIES))["items"]
    return found


async def category(api: Api, category_id: str) -> tuple[dict[str, Any], str]:
    """Give a category and its ETag."""
    found, headers = await api.exchange("GET", f"{CATEGORIES}/{segment(category_id)}")
    return found, headers.get("etag", "")


async def change_category(api: Api, category_id: str, change: Mapping[str, Any], etag: str) -> None:
    """Change or move a category. Raises Refusal (412) when it changed meanwhile."""
    path = f"{CATEGORIES}/{segment(category_id)}"
    await api.send("PATCH", path, dict(change), headers={"if-match": etag})


async def tagged(api: Api, path: str) -> tuple[dict[str, Any], str]:
    """Give a thing and its ETag."""
    found, headers = await api.exchange("GET", path)
    return found, headers.get("etag", "")


async def put_tagged(api: Api, path: str, body: Mapping[str, Any], etag: str) -> None:
    """Make a thing (no ETag) or replace it. Raises Refusal: 412 changed, 428 there already."""
    await api.send("PUT", path, dict(body), headers={"if-match": etag} if etag else {})


async def delete_tagged(api: Api, path: str, etag: str) -> None:
    """Remove a thing. Raises Refusal."""
    await api.send("DELETE", path, headers={"if-match": etag})


async def title(api: Api, product_id: str) -> str:
    """Give what a product is called in the shop's own language."""
    found = await api.get(f"{PRODUCTS}/{segment(product_id)}")
    return str(found["title"])


async def counted(api: Api, skus: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Map skus to how many there are; of staff who may not see that none."""
    if not skus:
        return {}
    found = await maybe(api, STOCK, sku=list(skus))
    return {row["sku"]: row for row in found["items"] if "on_hand" in row} if found else {}


async def add_picture(api: Api, path: str, content: bytes, alt: str, locale: str) -> None:
    """Add a picture, and say in words what it shows. Raises Refusal."""
    product, headers = await api.upload(path, content, "application/octet-stream")
    if alt:
        image_id = headers.get("location", "").rpartition("/")[2]
        image = next(one for one in product["images"] if one["id"] == image_id)
        change = {"alts": {**image["alts"], locale: alt}}
        given = {"if-match": headers.get("etag", "")}
        await api.send("PATCH", f"{path}/{image_id}", change, headers=given)
