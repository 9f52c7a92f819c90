"""The rules of price lists: each says whether its prices include tax; one is always there."""

from typing import Annotated

import msgspec

from merkato.catalog.domain.words import Body
from merkato.contracts.problem import StateConflict
from merkato.contracts.values import PLAIN_NAME, VISIBLE

STANDARD = "standard"  # what everybody pays who was promised nothing else
LISTS_MAX = 100

PriceListName = Annotated[str, msgspec.Meta(pattern=PLAIN_NAME)]
Note = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=VISIBLE)]


class NewPriceList(Body, frozen=True, kw_only=True):
    """A list of prices; `tax_included` holds for every price of it."""

    name: PriceListName
    title: Note | None = None  # for staff
    tax_included: bool = True


class PriceListPatch(Body, frozen=True, kw_only=True, omit_defaults=True):
    """What shall be different; what is left out stays. The name is for ever."""

    title: Note | msgspec.UnsetType | None = msgspec.UNSET
    tax_included: bool | msgspec.UnsetType = msgspec.UNSET


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """A price list as it is kept."""

    name: str
    title: str | None
    tax_included: bool
    version: int


def check_removal(name: str, *, has_prices: bool) -> None:
    """Raise StateConflict for a list that cannot go."""
    if name == STANDARD:
        raise StateConflict("There is always a standard price list.")
    if has_prices:
        raise StateConflict("Prices are on this list; remove them first.")
