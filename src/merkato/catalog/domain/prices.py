"""Prices of many skus, set at once."""

from collections.abc import Sequence

from merkato.catalog.domain.price_lists import STANDARD, PriceListName
from merkato.catalog.domain.products import Variant
from merkato.catalog.domain.words import Body
from merkato.contracts.problem import Validation
from merkato.contracts.values import AmountMinor, Currency, Quantity, Sku


class SetPrice(Body, frozen=True, kw_only=True):
    """What one piece of a sku costs from now on; its other prices stay."""

    sku: Sku
    price_list: PriceListName = STANDARD
    currency: Currency
    from_quantity: Quantity = 1
    amount_minor: AmountMinor


def check(rows: Sequence[SetPrice]) -> None:
    """Raise Validation when two rows set the same price."""
    seen = set()
    for place, row in enumerate(rows):
        key = (row.sku.lower(), row.price_list, row.currency, row.from_quantity)
        if key in seen:
            raise Validation.at(f"/items/{place}", "Another row sets the same price.")
        seen.add(key)


def is_so(variant: Variant, row: SetPrice) -> bool:
    """Tell whether this is what was said of the variant last."""
    return any(
        (p.price_list, p.currency, p.from_quantity, p.amount_minor)
        == (row.price_list, row.currency, row.from_quantity, row.amount_minor)
        for p in variant.prices
    )
