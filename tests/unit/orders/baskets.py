"""Baskets to price, and the terms to price them by."""

from datetime import UTC, date, datetime

from merkato.contracts.catalog import Price
from merkato.orders.domain.coupons import Coupon, Kind
from merkato.orders.domain.offers import Offer
from merkato.orders.domain.pricing import Asked, Item, price
from merkato.orders.domain.terms import ShippingMethod, TaxRate
from merkato.orders.domain.terms import terms as gathered

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def offer(sku="A", amount=1_000, currency="EUR", tax_class="standard", included=True, **more):
    row = Price(currency=currency, amount_minor=amount, tax_included=included)
    fields = {
        "sku": sku, "version": 1, "active": True, "titles": {"en": sku}, "options": {},
        "image": None, "prices": (row,), "track_stock": True, "requires_shipping": True,
        "weight_g": 1, "tax_class": tax_class, **more,
    }  # fmt: skip
    return Offer(**fields)


def method(cost=490, currency="EUR", **more):
    fields = {
        "id": "standard", "titles": {"en": "Standard"}, "prices": {currency: cost}, "days_min": 1,
        "days_max": 2, **more,
    }  # fmt: skip
    return ShippingMethod(**fields)


def coupon(kind="percent", **more):
    said = {"basis_points": 1_000} if kind == "percent" else {}
    return Coupon(code="SAVE", kind=Kind(kind), **said | more)


def terms(rates=(("DE", "standard", 1_900),), methods=(), valid_from=date(2000, 1, 1)):
    table = [
        TaxRate(country=c, tax_class=t, basis_points=bp, valid_from=valid_from)
        for c, t, bp in rates
    ]
    return gathered(table, methods)


def asked(wanted, *, currency="EUR", country="DE", shipping=None, **more):
    """What is asked for; `wanted`: (offer, quantity) or (offer, quantity, agreed price)."""
    items = tuple(
        Item(offer=one, quantity=quantity, agreed_minor=agreed[0] if agreed else None)
        for one, quantity, *agreed in wanted
    )
    return Asked(
        items=items, currency=currency, locale="en", country=country, shipping_method=shipping,
        **more,
    )  # fmt: skip


def priced(wanted, *, at=None, now=NOW, **more):
    return price(asked(wanted, **more), at or terms(), now)
