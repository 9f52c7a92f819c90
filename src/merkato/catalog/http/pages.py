"""What routes share: the shop's defaults, and pages read many at a time."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from litestar import Response
from litestar.params import Parameter

from merkato.catalog.domain.words import fallbacks
from merkato.catalog.store import pages as store
from merkato.catalog.store.pages import Page
from merkato.chassis.batch import Batch
from merkato.chassis.db import Database
from merkato.chassis.http import etag
from merkato.contracts.values import CURRENCY, LOCALE

LocaleParam = Annotated[str | None, Parameter(pattern=LOCALE)]
CurrencyParam = Annotated[str | None, Parameter(pattern=CURRENCY)]


class Shop(NamedTuple):
    """What counts when nobody says otherwise."""

    default_locale: str
    default_currency: str

    def locales(self, locale: str | None) -> list[str]:
        """List the locales whose texts will do, best first."""
        return fallbacks(locale, self.default_locale)

    def currency(self, currency: str | None) -> str:
        """Give the currency to show prices in."""
        return currency or self.default_currency


class _Wanted(NamedTuple):
    name: str  # id or slug
    locales: tuple[str, ...]
    currency: str
    turn: object  # tells equal calls apart: they share a statement


class Pages:
    """The product pages that customers see; calls that come together share a statement."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batch: Batch[_Wanted, Page | None] = Batch(self._read, key=lambda w: w.turn)

    async def __call__(self, name: str, locales: Sequence[str], currency: str) -> Page | None:
        """Give the page of an id or a slug, former ones included."""
        return await self._batch(_Wanted(name, tuple(locales), currency, object()))

    async def _read(self, wanted: Sequence[_Wanted]) -> list[Page | None]:
        names: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
        for one in wanted:
            names[one.locales, one.currency].add(one.name)
        async with self._db.reading() as tx:
            found = {
                shown: await store.public(tx, sorted(asked), *shown)
                for shown, asked in names.items()
            }
        return [found[one.locales, one.currency].get(one.name) for one in wanted]


def page_response(page: Page) -> Response[bytes]:
    """Answer with a page as it is."""
    headers = {"ETag": etag(page.version)}
    return Response(page.body.encode(), headers=headers, media_type="application/json")
