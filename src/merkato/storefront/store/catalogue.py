"""Questions about goods."""

from collections.abc import Mapping
from typing import Any

from merkato.chassis.visit import Api, segment


async def categories(api: Api, locale: str) -> list[dict[str, Any]]:
    """Give the tree of categories."""
    found: list[dict[str, Any]] = (await api.get("/api/v1/categories", locale=locale))["items"]
    return found


async def category(api: Api, slug: str, locale: str) -> dict[str, Any]:
    """Give a category. Raises Refusal (404) for one that is not there."""
    found: dict[str, Any] = await api.get(f"/api/v1/categories/{segment(slug)}", locale=locale)
    return found


async def products(api: Api, **query: Any) -> dict[str, Any]:
    """Give a page of products, by the filters of GET /products; `attr__x` stands for attr.x."""
    found: dict[str, Any] = await api.get("/api/v1/products", **query)
    return found


async def product(api: Api, slug: str, locale: str, currency: str) -> dict[str, Any]:
    """Give a product. Raises Refusal (404) for one that is not on sale."""
    path = f"/api/v1/products/{segment(slug)}"
    answer, headers = await api.exchange("GET", f"{path}?locale={locale}&currency={currency}")
    if answer is None and (moved := headers.get("location")):
        answer = await api.send("GET", moved)
    found: dict[str, Any] = answer
    return found


def page_query(asked: Mapping[str, str]) -> dict[str, Any]:
    """Keep of a page's query what the list of products takes; prices come in whole units."""
    names = ("q", "sort", "min_price", "max_price", "in_stock", "cursor")
    query: dict[str, Any] = {name: asked[name] for name in names if asked.get(name)}
    query |= {
        name.replace(".", "__", 1): value
        for name, value in asked.items()
        if name.startswith("attr.") and value
    }
    return query
