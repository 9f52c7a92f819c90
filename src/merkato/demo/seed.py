"""Fill a running shop with the demo goods, over the public HTTP API alone.

Harmless to repeat: what is there is left as it is, also where staff changed it. A product comes
whole with one request, after its stock; so what an interrupted run left out, the next one makes.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from merkato.demo import catalogue
from merkato.demo.catalogue import Category, Product, Variant

AT_ONCE = 8  # products worked on at the same time
DEADLINE_S = 15.0  # longest wait for one answer
TRIES = 6  # of one request that the shop is too busy for
PAUSE_MAX_S = 5.0  # longest pause between two tries
BUSY = {429, 503, 504}

Progress = Callable[[int, int], None]  # (done, of how many)


class Refused(Exception):
    """The shop did not do what it was asked; the message says which request and why."""


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


class Shop:
    """The API of a running shop, spoken to as an administrator."""

    def __init__(self, base_url: str, token: str) -> None:
        self._session = aiohttp.ClientSession(
            base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=DEADLINE_S),
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
        )

    async def __aenter__(self) -> "Shop":
        """Give itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._session.close()

    async def find(self, path: str) -> dict[str, Any] | None:
        """GET something, or None if there is no such thing."""
        return await self._call("GET", path, None)

    async def send(self, method: str, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Change something; the same call again changes nothing more. Raises Refused."""
        answer = await self._call(method, path, msgspec.json.encode(body))
        if answer is None:
            raise Refused(f"{method} /api/v1{path}: there is no such thing")
        return answer

    async def _call(self, method: str, path: str, body: bytes | None) -> dict[str, Any] | None:
        headers: dict[str, str] = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            headers["Idempotency-Key"] = key_of(method, path, body)
        for tries in range(1, TRIES + 1):
            try:
                async with self._session.request(
                    method, f"api/v1{path}", data=body, headers=headers
                ) as response:
                    text = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Refused(
                    f"{method} /api/v1{path}: no answer; {error or type(error).__name__}"
                ) from error
            if response.status not in BUSY or tries == TRIES:
                break
            await asyncio.sleep(_pause_s(response.headers.get("Retry-After")))
        if response.status == 404:
            return None
        if response.status >= 300:
            raise Refused(f"{method} /api/v1{path}: {response.status} {_reason(text)}")
        return msgspec.json.decode(text, type=dict[str, Any])


def _pause_s(retry_after: str | None) -> float:
    return min(float(retry_after), PAUSE_MAX_S) if retry_after and retry_after.isdigit() else 1.0


def _reason(text: bytes) -> str:
    try:
        problem = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return text[:200].decode(errors="replace")
    mistakes = [f"{each['pointer']} {each['detail']}" for each in problem.get("errors", [])]
    return "; ".join([f"{problem.get('title')}: {problem.get('detail')}", *mistakes])


async def seed(base_url: str, token: str, progress: Progress) -> Counts:
    """Make the demo shop in the shop at `base_url`; `token` is an administrator's access token.

    Again: makes what is missing and leaves the rest alone. Raises Refused at the first refusal; a
    later run goes on from there.
    """
    demo = catalogue.load()
    counts = Counts()
    total = len(demo.categories) + len(demo.products)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    places = asyncio.Semaphore(AT_ONCE)
    async with Shop(base_url, token) as shop:
        ids: dict[str, str] = {}
        for category in demo.categories:  # parents first, so one after the other
            ids[category.key] = await _category(shop, category, ids, counts)
            step()

        async def stock_up(product: Product) -> None:
            async with places:
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
    made = await shop.send(
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
            await shop.send("PUT", f"/stock/{variant.sku}", {"on_hand": variant.stock})
    await shop.send("POST", "/products", _body(product, ids))
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
