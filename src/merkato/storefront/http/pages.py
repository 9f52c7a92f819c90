"""Drawing a page: what every page shows around its content, and pages that say what went wrong."""

import asyncio
from typing import Any
from uuid import uuid4

from litestar import Response

from merkato.chassis.ask import Refusal
from merkato.chassis.visit import masked
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import Problem
from merkato.storefront import domain
from merkato.storefront.store import catalogue
from merkato.storefront.templates import Templates, country, symbol

CATEGORIES_S = 10.0  # how long the tree of categories and their pictures are remembered
KINDS = {401: "404", 403: "403", 404: "404", 405: "404", 410: "404", 429: "429", 503: "503"}


class Pages:
    """Draws pages for visits."""

    def __init__(self, templates: Templates, currency: str, *, development: bool) -> None:
        self.templates, self.currency, self.development = templates, currency, development
        self._trees: dict[str, tuple[list[dict[str, Any]], float]] = {}
        self._covers: dict[str, tuple[list[str | None], float]] = {}

    async def tree(self, visit: Visit) -> list[dict[str, Any]]:
        """Give the categories, at most CATEGORIES_S old; none while catalog does not answer."""
        now = asyncio.get_running_loop().time()
        known, read_at = self._trees.get(visit.locale, ([], -CATEGORIES_S))
        if now - read_at >= CATEGORIES_S:
            try:
                known = await catalogue.categories(visit.api, visit.locale)
                self._trees[visit.locale] = (known, now)
            except (Problem, Refusal):  # a page without its menu is better than none
                pass
        return known

    async def covers(self, visit: Visit, most: int) -> list[str | None]:
        """Give a picture for each of the first categories of the tree, none twice, as old as it."""
        tree = (await self.tree(visit))[:most]
        if not tree:
            return []
        known, read_at = self._covers.get(visit.locale, ([], -1.0))
        if read_at != self._trees.get(visit.locale, ([], 0.0))[1]:
            query = {"locale": visit.locale, "currency": self.currency, "sort": "title"}
            read_at = self._trees[visit.locale][1]
            firsts = await asyncio.gather(*(
                catalogue.products(visit.api, category=one["slug"], limit=most, **query)
                for one in tree
            ))  # fmt: skip
            known = domain.distinct([[one["image"] for one in first["items"]] for first in firsts])
            self._covers[visit.locale] = (known, read_at)
        return known

    async def draw(
        self, visit: Visit, name: str, *, status: int = 200, **values: Any
    ) -> Response[str]:
        """Draw a page for a visit."""
        around = self._around(visit, await self.tree(visit), visit.take_notices())
        body = self.templates.draw(name, visit.locale, around | values)
        return Response(body, status_code=status, media_type="text/html")

    def failed(self, visit: Visit, status: int, slug: str, detail: str) -> Response[str]:
        """Draw the page of an error; whoever has to log in is sent there."""
        if slug == "unauthenticated":
            if visit.session.logged_in:
                visit.session.log_out()
            visit.notice(self.text(visit, "login.needed"), "bad")
            return see_other("/login")
        kind = KINDS.get(status, "500" if status >= 500 else "400")
        tree, _ = self._trees.get(visit.locale, ([], 0.0))
        around = self._around(visit, tree, [])
        shown = detail if kind == "400" else ""
        body = self.templates.draw(
            "error.html", visit.locale, around | {"kind": kind, "detail": shown}
        )
        return Response(body, status_code=status, media_type="text/html")

    def text(self, visit: Visit, name: str, /, **values: Any) -> str:
        """Give a text in the visit's language."""
        return self.templates.text(visit.locale, name, **values)

    def either(self, visit: Visit, name: str, otherwise: str) -> str:
        """Give a text, or another where nobody wrote the first."""
        try:
            return self.text(visit, name)
        except KeyError:
            return self.text(visit, otherwise)

    def refusal(self, visit: Visit, refusal: Refusal) -> str:
        """Say what the API refused, in the visit's language where we have words for it."""
        try:
            return self.text(visit, f"problem.{refusal.slug}")
        except KeyError:
            pass
        detail = refusal.problem.get("detail") or refusal.problem.get("title", "")
        return self.text(visit, "cart.refused", detail=detail)

    def errors(self, visit: Visit, problem: dict[str, str]) -> dict[str, str]:
        """Say in the visit's language which fields are to be looked at."""
        said = {name: self._field(visit, name, why) for name, why in problem.items()}
        return {"": self.text(visit, "field.wrong"), **said} if said else {}

    def _field(self, visit: Visit, name: str, why: str) -> str:
        if not name:
            return why
        if why in ("needed", "choose"):
            return self.text(visit, f"field.{why}")
        return self.either(visit, f"field.wrong.{name}", "field.check")

    def _around(
        self, visit: Visit, tree: list[dict[str, Any]], notices: list[tuple[str, str]]
    ) -> dict[str, Any]:
        session = visit.session
        return {
            "categories": tree, "notices": notices, "path": visit.path, "theme": session.theme,
            "logged_in": session.logged_in, "pieces": session.cart_pieces,
            "csrf_token": lambda: masked(visit.csrf), "country": country, "symbol": symbol,
            "countries": domain.COUNTRIES, "cards": domain.CARDS, "development": self.development,
            "currency": self.currency, "key": uuid4().hex,
        }  # fmt: skip
