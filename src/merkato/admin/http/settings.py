"""What the shop is configured with: some here, some by whoever runs it."""

import asyncio
from typing import Any

from litestar import Response, get

from merkato.admin.domain.settings import Settings
from merkato.admin.http.pages import Pages
from merkato.admin.store import goods as store
from merkato.admin.store import maybe
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit


@get("/admin/t/settings", policy=ANYONE)
async def show_settings(visit: Visit, pages: Pages, settings: Settings) -> Response[str]:
    """Show what can be set here, and what is configured; for those who may configure the shop."""
    methods, rates, lists = await asyncio.gather(
        visit.api.get("/api/v1/shipping-methods/all"),  # 403 for all others
        visit.api.get("/api/v1/tax-rates", limit=100),
        maybe(visit.api, store.PRICE_LISTS),
    )
    counts: list[tuple[str, str, Any]] = [
        ("Shipping methods", "/admin/t/shipping", len(methods["items"])),
        ("Tax rates", "/admin/t/taxes", _many(rates)),
        ("Price lists", "/admin/t/price-lists", _many(lists)),
    ]
    return pages.draw(visit, "settings.html", counts=counts, parts=settings.parts)


def _many(page: dict[str, Any] | None) -> str:
    if page is None:
        return "–"
    return f"{len(page['items'])}{'+' if page.get('next_cursor') else ''}"


ROUTES = (show_settings,)
