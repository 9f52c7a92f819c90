"""Fill a running shop with the demo goods, over the public HTTP API alone.

Harmless to repeat: what is there is left as it is, also where staff changed it. A product comes
whole with one request, after its stock; so what an interrupted run left out, the next one makes.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from merkato.client import Client, Refused
from merkato.client.calls import API
from merkato.demo import catalogue
from merkato.demo.catalogue import Category, Product, Variant

AT_ONCE = 8  # requests under way at the same time
PATIENCE_S = 30.0  # how long one request is tried again while the shop is too busy for it

Progress = Callable[[int, int], None]  # (done, of how many)


class Counts(msgspec.Struct):
    """What a run has made and what it has found already there."""

    categories_made: int = 0
    categories_found: int = 0
    products_made: int = 0
    products_found: int = 0
    variants_made: int = 0


def key_of(method: str, path: str, body: bytes) -> str:
    """Make the Idempotency-Key of a request: the same request has the same key in every run."""
    return (
        f"demo-{hashlib.sha256(b'%b %b %b' % (method.encode(), path.encode(), body)).hexdigest()}"
    )


class Shop(Client):
    """The API of a running shop, spoken to as an administrator."""

    async def find(self, path: str) -> dict[str, Any] | None:
        """GET something, or None if there is no such thing."""
        try:
            found: dict[str, Any] = await self.send("GET", API + path)
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        return found

    async def change(self, method: str, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Change something; the same call again changes nothing more."""
        key = key_of(method, path, msgspec.json.encode(body))
        made: dict[str, Any] = await self.send(method, API + path, body, key=key)
        return made


async def seed(base_url: str, token: str, progress: Progress) -> Counts:
    """Make the demo shop in the shop at `base_url`; `token` is an administrator's access token.

    Again: makes what is missing and leaves the rest alone. Raises Refused at the first refusal,
    and NoAnswer; a later run goes on from there.
    """
    demo = catalogue.load()
    counts = Counts()
    total = len(demo.categories) + len(demo.products)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    async with Shop(base_url, token=token, patience_s=PATIENCE_S, at_once=AT_ONCE) as shop:
        ids: dict[str, str] = {}
        for category in demo.categories:  # parents first, so one after the other
            ids[category.key] = await _category(shop, category, ids, counts)
            step()

        async def stock_up(product: Product) -> None:
            await _product(shop, product, ids, counts)
            step()

        try:
            async with asyncio.TaskGroup() as group:
                for product in demo.products:
                    group.create_task(stock_up(product))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
    return counts


async def _category(shop: Shop, category: Category, ids: dict[str, str], counts: Counts) -> str:
    found = await shop.find(f"/categories/{category.texts['en'].slug}")
    if found is not None:
        counts.categories_found += 1
        return str(found["id"])
    made = await shop.change(
        "POST",
        "/categories",
        {
            "parent_id": ids[category.parent] if category.parent else None,
            "texts": category.texts,
        },
    )
    counts.categories_made += 1
    return str(made["id"])


async def _product(shop: Shop, product: Product, ids: dict[str, str], counts: Counts) -> None:
    if await shop.find(f"/products/{product.texts['en'].slug}") is not None:
        counts.products_found += 1
        return
    for variant in product.variants:
        if variant.stock is not None:
            await shop.change("PUT", f"/stock/{variant.sku}", {"on_hand": variant.stock})
    await shop.change("POST", "/products", _body(product, ids))
    counts.products_made += 1
    counts.variants_made += len(product.variants)


def _body(product: Product, ids: dict[str, str]) -> dict[str, object]:
    return {
        "status": "active",
        "texts": product.texts,
        "categories": [ids[key] for key in product.categories],
        "options": product.options,
        "attributes": product.attributes,
        "metadata": product.metadata,
        "variants": [_variant(product, variant) for variant in product.variants],
    }


def _variant(product: Product, variant: Variant) -> dict[str, object]:
    return {
        "sku": variant.sku,
        "image": f"/demo/{product.picture}",  # the gateway shows it
        "options": variant.options,
        "weight_g": variant.weight_g,
        "tax_class": variant.tax_class,
        "track_stock": variant.track_stock,
        "requires_shipping": variant.requires_shipping,
        "prices": variant.prices,
    }
