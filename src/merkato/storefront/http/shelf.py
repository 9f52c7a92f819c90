"""What is on sale: the home page, categories, search, products."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get

from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit
from merkato.storefront.http import facets
from merkato.storefront.http.pages import Pages
from merkato.storefront.store import catalogue
from merkato.storefront.templates import minor_units, words

HTTPRequest = Request[Any, Any, Any]

ON_PAGE = 24
MEDIUM = 800  # pixels a product's picture is wide on its page
SORTS = ("newest", "price", "-price", "title")
EXAMPLE_MINOR = 123_450  # of a price as it can be typed
NEW_MAX, RELATED_MAX, TILES_MAX = 8, 4, 6


@get("/", policy=ANYONE)
async def home(visit: Visit, pages: Pages) -> Response[str]:
    """Show where to begin."""
    tree = await pages.tree(visit)
    newest, covers = await asyncio.gather(
        catalogue.products(
            visit.api, limit=NEW_MAX, in_stock=True, locale=visit.locale, currency=pages.currency
        ),
        pages.covers(visit, TILES_MAX),
    )
    featured = [{**one, "image": image} for one, image in zip(tree, covers, strict=False)]
    return await pages.draw(visit, "home.html", newest=newest["items"], featured=featured)


@get("/c/{slug:str}", policy=ANYONE)
async def category(slug: str, request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show a category and what is in it."""
    tree = await pages.tree(visit)
    found = _named(tree, slug) or await catalogue.category(visit.api, slug, visit.locale)
    if found["slug"] != slug:
        return _moved(f"/c/{segment(found['slug'])}", request)
    trail = _trail(tree, found["id"])
    below = trail[-1]["children"] if trail else []
    root = trail[0]["id"] if trail else ""
    return await _list(
        request, visit, pages, heading=found["title"], category=slug, trail=trail, below=below,
        shown_root=root,
    )  # fmt: skip


@get("/search", policy=ANYONE)
async def search(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show what a search finds, or everything."""
    words = request.query_params.get("q", "").strip()[:200]
    name = "list.search" if words else "list.all"
    heading = pages.text(visit, name, q=words)
    return await _list(request, visit, pages, heading=heading, searched=words)


async def _list(
    request: HTTPRequest, visit: Visit, pages: Pages, *, category: str | None = None,
    **values: Any,
) -> Response[str]:  # fmt: skip
    asked = {name: str(value) for name, value in request.query_params.items()}
    query, unread = _query(request, asked, pages.currency)
    query |= {"category": category, "locale": visit.locale, "currency": pages.currency}
    try:
        found = await catalogue.products(visit.api, limit=ON_PAGE, facets=True, **query)
    except Refusal as refusal:  # a filter nobody can read: show the page without it
        if refusal.status != 422:
            raise
        found = {"items": [], "next_cursor": None}
    action = request.url.path
    left_out = ("cursor", *unread)
    kept = [(n, str(v)) for n, v in request.query_params.multi_items() if n not in left_out and v]
    cursor = found["next_cursor"]
    names = ("q", "min", "max", "sort", "in_stock")
    sorts = (("relevance",) if asked.get("q") else ()) + SORTS
    counted = found.get("facets") or {}
    return await pages.draw(
        visit, "list.html", items=found["items"], action=action,
        trail=values.pop("trail", []), asked={name: asked.get(name, "") for name in names},
        sorts=sorts, filtering="hx-target" in request.headers,  # then it stays open
        next_page=f"{action}?{urlencode([*kept, ('cursor', cursor)])}" if cursor else None,
        first_page="cursor" not in asked, first_url=f"{action}?{urlencode(kept)}",
        facets=facets.attributes(counted, kept, visit.locale), total=counted.get("total"),
        capped=counted.get("capped"),
        unread=unread, example=EXAMPLE_MINOR, prices=counted.get("price"),
        stocked=(counted.get("in_stock") or {}).get("yes"),
        chosen=facets.chosen(kept, action, visit.locale), corrected=found.get("corrected"),
        below=facets.below(counted, values.pop("below", None)), **values,
    )  # fmt: skip


def _query(
    request: HTTPRequest, asked: Mapping[str, str], currency: str
) -> tuple[dict[str, Any], list[str]]:
    """Make what catalog is asked; beside it the names of prices that nobody can read."""
    query, unread = catalogue.page_query(asked), []
    for name in ("min", "max"):
        try:
            query[f"{name}_price"] = minor_units(asked.get(name), currency)
        except ValueError:
            unread.append(name)
    for name in asked:
        if name.startswith("attr."):
            chosen = [str(v) for n, v in request.query_params.multi_items() if n == name]
            query[name.replace(".", "__", 1)] = chosen
    return query, unread


@get("/p/{slug:str}", policy=ANYONE)
async def product(slug: str, request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show a product."""
    found = await catalogue.product(visit.api, slug, visit.locale, pages.currency)
    if found["slug"] != slug:
        return _moved(f"/p/{segment(found['slug'])}", request)
    trail: list[dict[str, Any]] = []
    related: list[dict[str, Any]] = []
    if found["categories"]:
        home_of = found["categories"][0]
        tree, near = await asyncio.gather(
            pages.tree(visit),
            catalogue.products(
                visit.api, category=home_of["slug"], limit=RELATED_MAX + 1, locale=visit.locale,
                currency=pages.currency,
            ),
        )  # fmt: skip
        trail = _trail(tree, home_of["id"])
        related = [item for item in near["items"] if item["id"] != found["id"]]
        if len(related) < RELATED_MAX and len(trail) > 1:
            wider = await catalogue.products(
                visit.api, category=trail[-2]["slug"], limit=2 * RELATED_MAX, locale=visit.locale,
                currency=pages.currency,
            )  # fmt: skip
            known = {found["id"], *(item["id"] for item in related)}
            related += [item for item in wider["items"] if item["id"] not in known]
    return await pages.draw(
        visit, "product.html", product=found, trail=trail, related=related[:RELATED_MAX],
        **_shown(found, pages, visit),
    )  # fmt: skip


def _shown(found: Mapping[str, Any], pages: Pages, visit: Visit) -> dict[str, Any]:
    """Work out what a product's page says about its variants."""
    variants = [
        {**one, "label": words.options(one["options"], visit.locale) or one["sku"]}
        for one in found["variants"]
    ]
    buyable = [one for one in variants if one["in_stock"] != "no" and one["price"]]
    prices = [one["price"] for one in variants if one["price"]]
    cheapest = min(prices, key=lambda price: price["amount_minor"], default=None)
    taxed = [price["tax_included"] for one in variants for price in one.get("prices") or ()]
    yes, no = pages.text(visit, "product.yes"), pages.text(visit, "product.no")
    details = [
        (name, {"true": yes, "false": no}.get(text, text))
        for name, text in (
            words.measured(name, value, visit.locale) for name, value in found["attributes"].items()
        )
    ]
    return {
        "variants": variants, "buyable": bool(buyable), "pictures": _pictures(found, variants),
        "chosen": buyable[0]["sku"] if buyable else "", "details": details, "cheapest": cheapest,
        "several_prices": len({price["amount_minor"] for price in prices}) > 1,
        "tax_included": all(taxed),
    }  # fmt: skip


def _pictures(found: Mapping[str, Any], variants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the pictures of a product, each once; with the sizes there are of it."""
    shown: list[dict[str, Any]] = []
    for one in found.get("images") or ():
        sizes = one["sizes"] or []
        shown.append({
            "full": one["url"], "alt": one["alt"] or found["title"],
            "src": next((size["url"] for size in sizes if size["width"] >= MEDIUM), one["url"]),
            "sizes": ", ".join(f"{size['url']} {size['width']}w" for size in sizes),
            "width": one["width"], "height": one["height"],
        })  # fmt: skip
    drawn = {one["image"]: None for one in variants if one["image"]}
    if not shown:
        shown = [
            {
                "full": image, "src": image, "alt": found["title"], "sizes": "",
                "width": MEDIUM, "height": MEDIUM,
            }
            for image in drawn
        ]  # fmt: skip
    return shown


def _named(tree: list[dict[str, Any]], slug: str) -> dict[str, Any] | None:
    """Find a category of the tree by its slug."""
    for one in tree:
        if found := one if one["slug"] == slug else _named(one["children"], slug):
            return found
    return None


def _trail(tree: list[dict[str, Any]], category_id: str) -> list[dict[str, Any]]:
    """Give the way from the root of the tree to a category."""
    for one in tree:
        if one["id"] == category_id:
            return [one]
        if way := _trail(one["children"], category_id):
            return [one, *way]
    return []


def _moved(path: str, request: HTTPRequest) -> Response[str]:
    query = request.scope["query_string"].decode("latin-1")
    headers = {"Location": f"{path}?{query}" if query else path}
    return Response("", status_code=302, headers=headers, media_type="text/html")


ROUTES = (home, category, search, product)
