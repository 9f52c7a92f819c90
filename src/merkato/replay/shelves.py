"""What has to be there before orders can be placed: goods with their prices, and enough stock."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TypeVar

from merkato.client import Client, Refused
from merkato.replay.plan import Sale, key
from merkato.replay.prices import Good, PriceChange

T = TypeVar("T")

POSTAGE_ALONE = "POSTAGE-ALONE"  # the good that costs nothing: an order of postage needs a line
ASKED_AT_ONCE = 100  # skus in one question about stock
PRICES_AT_ONCE = 500  # list prices in one request


def needed(sales: Iterable[Sale]) -> Counter[str]:
    """Count the pieces of each sku that sales take off the shelf."""
    pieces: Counter[str] = Counter()
    for sale in sales:
        for line in sale.lines:
            pieces[line.sku] += line.quantity
        pieces[POSTAGE_ALONE] += not sale.lines
    return +pieces


class Shelves:
    """Goods and stock of a shop, filled as far as orders need them."""

    def __init__(self, shop: Client, prefix: str, currency: str) -> None:
        self.shop, self.prefix, self.currency = shop, prefix, currency
        self._run = secrets.token_hex(4)  # the next run may have to add as much once more

    async def fill(self, goods: Mapping[str, Good], pieces: Mapping[str, int]) -> tuple[int, int]:
        """Make what is missing; give how many goods were made and how many skus were stocked up.

        Again: does nothing where there is enough. Other goods of these skus are sold as they are.
        """
        stock = await self._stock(sorted(pieces))
        missing = [sku for sku in sorted(pieces) if sku not in stock]
        made = await _all(self._make(goods.get(sku), sku) for sku in missing)
        low = {
            sku: n - stock.get(sku, 0)
            for sku, n in sorted(pieces.items())
            if sku != POSTAGE_ALONE and n > stock.get(sku, 0)
        }
        await _all(self._put(sku, n) if sku in missing else self._add(sku, n)
                   for sku, n in low.items())  # fmt: skip
        return sum(made), len(low)

    async def price(self, changes: Sequence[PriceChange]) -> None:
        """Set list prices, of each sku the last; the same again changes nothing."""
        last = list({one.sku: one for one in changes}.values())
        for start in range(0, len(last), PRICES_AT_ONCE):
            some = last[start : start + PRICES_AT_ONCE]
            rows = [{"sku": one.sku, **self._row(one.unit_minor)} for one in some]
            name = f"{self.prefix}-prices-{self._run}-{changes[-1].day}-{start}"
            await self.shop.set_prices({"items": rows}, key(name))

    async def _stock(self, skus: Sequence[str]) -> dict[str, int]:
        """Ask how many pieces are free; a sku that is not named is not known."""
        found: dict[str, int] = {}
        for start in range(0, len(skus), ASKED_AT_ONCE):
            page = await self.shop.stock(sku=skus[start : start + ASKED_AT_ONCE])
            found |= {item["sku"]: item["free"] for item in page["items"]}
        return found

    async def _put(self, sku: str, pieces: int) -> None:
        name = f"{self.prefix}-stock-{self._run}-{sku}"
        await self.shop.put_stock(sku, pieces, key(name))

    async def _add(self, sku: str, pieces: int) -> None:
        body = {"delta": pieces, "reason": f"replay of {self.prefix}", "received": True}
        name = f"{self.prefix}-stock-{self._run}-{sku}"
        await self.shop.adjust_stock(sku, body, key(name))

    async def _make(self, good: Good | None, sku: str) -> bool:
        """Make a product of one sku. False where it was there already."""
        title = good.title if good else "Postage alone"
        body = {
            "status": "active",
            "texts": {"en": {"title": title, "slug": _slug(f"{title} {sku}")}},
            "variants": [
                {
                    "sku": sku,
                    "track_stock": good is not None,
                    "requires_shipping": good is not None,
                    "prices": [self._row(good.unit_minor if good else 0)],
                }
            ],
        }
        try:
            await self.shop.create_product(body, key(f"{self.prefix}-goods-{sku}"))
        except Refused as refusal:
            if refusal.status == 409:
                return False
            raise
        return True

    def _row(self, unit_minor: int) -> dict[str, object]:
        return {"currency": self.currency, "amount_minor": unit_minor}


def _slug(text: str) -> str:
    letters = (c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in "".join(letters).split("-") if part)[:100]


async def _all(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
