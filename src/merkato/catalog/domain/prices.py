"""Prices of many skus, set at once."""

from collections.abc import Sequence

from merkato.catalog.domain.price_lists import STANDARD, PriceListName
from merkato.catalog.domain.products import Variant
from merkato.catalog.domain.words import Body
from merkato.contracts.problem import StateConflict, Validation
from merkato.contracts.values import AmountMinor, Currency, Quantity, Sku


class SetPrice(Body, frozen=True, kw_only=True):
    """What one piece of a sku costs from now on; its other prices stay.

    `expected_minor` is what it has to cost until now, for whoever decided by that.
    """

    sku: Sku
    price_list: PriceListName = STANDARD
    currency: Currency
    from_quantity: Quantity = 1
    amount_minor: AmountMinor
    expected_minor: AmountMinor | None = None


def check(rows: Sequence[SetPrice]) -> None:
    """Raise Validation when two rows set the same price."""
    seen = set()
    for place, row in enumerate(rows):
        key = (row.sku.lower(), row.price_list, row.currency, row.from_quantity)
        if key in seen:
            raise Validation.at(f"/items/{place}", "Another row sets the same price.")
        seen.add(key)


def check_expected(variant: Variant, row: SetPrice) -> None:
    """Raise StateConflict when a price is not the one that whoever sets it has seen."""
    now = next(
        (
            p.amount_minor
            for p in variant.prices
            if (p.price_list, p.currency, p.from_quantity)
            == (row.price_list, row.currency, row.from_quantity)
        ),
        None,
    )
    if row.expected_minor is not None and now not in (row.expected_minor, row.amount_minor):
        raise StateConflict(f"The price of {variant.sku} has changed meanwhile; look again.")


def is_so(variant: Variant, row: SetPrice) -> bool:
    """Tell whether this is what was said of the variant last."""
    return any(
        (p.price_list, p.currency, p.from_quantity, p.amount_minor)
        == (row.price_list, row.currency, row.from_quantity, row.amount_minor)
        for p in variant.prices
    )
