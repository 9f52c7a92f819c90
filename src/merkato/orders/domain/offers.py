"""What orders knows of the goods: offers, and the price a list asks for so many. Pure."""

from collections.abc import Mapping

import msgspec

from merkato.contracts.catalog import Price

STANDARD = "standard"  # the price list of whoever was given no other


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What orders knows of a sku. Of its prices, catalog tells those in force now."""

    sku: str
    version: int
    active: bool
    titles: Mapping[str, str]
    options: Mapping[str, str]
    image: str | None
    prices: tuple[Price, ...]
    track_stock: bool
    requires_shipping: bool
    weight_g: int
    tax_class: str


def price_of(
    offer: Offer, currency: str, quantity: int, price_list: str = STANDARD
) -> Price | None:
    """Look up what a piece costs when so many are bought; None for what is not sold.

    Of the list's prices in this currency the one with the largest step reached counts. What a list
    has no price for costs what the standard list says.
    """
    if not offer.active:
        return None
    found: Price | None = None
    for one in offer.prices:
        if one.currency != currency or one.from_quantity > quantity:
            continue
        if one.price_list not in (price_list, STANDARD):
            continue
        if found is None or (one.price_list == price_list, one.from_quantity) > (
            found.price_list == price_list,
            found.from_quantity,
        ):
            found = one
    return found


def title(titles: Mapping[str, str], locale: str) -> str | None:
    """Choose a text: the locale's, its language's, English, any."""
    for wanted in (locale, locale.partition("-")[0], "en"):
        if wanted in titles:
            return titles[wanted]
    return next(iter(titles.values()), None)
