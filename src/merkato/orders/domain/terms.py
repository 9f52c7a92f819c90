"""The terms of the shop: what tax is due where, and how goods are sent for how much. Pure."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated

import msgspec

from merkato.contracts.problem import Validation
from merkato.contracts.values import (
    PLAIN_NAME,
    AmountMinor,
    Country,
    Currency,
    Line,
    Locale,
    TaxClass,
)

MethodId = Annotated[str, msgspec.Meta(pattern=PLAIN_NAME)]
BasisPoints = Annotated[int, msgspec.Meta(ge=0, le=10_000)]  # 1,900 are 19 percent
Days = Annotated[int, msgspec.Meta(ge=0, le=365)]
Grams = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Countries = Annotated[tuple[Country, ...], msgspec.Meta(max_length=300)]
Amounts = Annotated[dict[Currency, AmountMinor], msgspec.Meta(max_length=200)]


class CannotBeSent(Validation):
    """The shipping method does not exist or go there, takes less weight, or has no price."""


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A rate of one country for one class of goods, from a day (UTC) on."""

    country: str
    tax_class: str
    basis_points: int
    valid_from: date


class WeightStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a method costs from so many grams on, instead."""

    from_g: Grams
    prices: Amounts


class MethodBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way to send goods. Prices include tax where the price list does."""

    titles: Annotated[dict[Locale, Line], msgspec.Meta(min_length=1, max_length=50)]
    position: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100  # in lists, smallest first
    countries: Countries | None = None  # null: it goes everywhere
    prices: Amounts
    free_from: Amounts = {}  # what goods have to cost, after discount, for it to cost nothing
    weight_steps: Annotated[tuple[WeightStep, ...], msgspec.Meta(max_length=50)] = ()
    weight_max_g: Grams | None = None  # heavier goods are not sent so
    days_min: Days
    days_max: Days
    tax_class: TaxClass = "standard"


class ShippingMethod(MethodBody, frozen=True, kw_only=True):
    """A way to send goods, as it is kept."""

    id: str
    archived: bool = False
    version: int = 1

    def refusal(self, country: str | None, weight_g: int) -> str | None:
        """Say why goods cannot be sent so; None when they can. Country None: not known yet."""
        if self.archived:
            return f"{self.id} is not offered any more."
        if self.countries is not None and country is not None and country not in self.countries:
            return f"{self.id} does not go there."
        if self.weight_max_g is not None and weight_g > self.weight_max_g:
            return f"{self.id} takes at most {self.weight_max_g} g; this is {weight_g} g."
        return None

    def cost(self, currency: str, goods_minor: int, weight_g: int) -> int | None:
        """Give the price in minor units, None where there is none in this currency.

        `goods_minor`: what the goods cost after discount; `weight_g`: what they weigh together.
        """
        free_from = self.free_from.get(currency)
        if free_from is not None and goods_minor >= free_from:
            return 0
        reached = [step for step in self.weight_steps if step.from_g <= weight_g]
        prices = max(reached, key=lambda step: step.from_g).prices if reached else self.prices
        return prices.get(currency)


class Terms(msgspec.Struct, frozen=True):
    """The rates and methods of the shop. Rates by country and class, newest first."""

    rates: Mapping[tuple[str, str], tuple[tuple[date, int], ...]]
    methods: Mapping[str, ShippingMethod]

    def rate(self, country: str | None, tax_class: str, on: date) -> int:
        """Give the basis points due; 0 where we owe no tax."""
        for valid_from, basis_points in self.rates.get((country or "", tax_class), ()):
            if valid_from <= on:
                return basis_points
        return 0

    def method(self, method_id: str) -> ShippingMethod:
        """Give a method, which may be archived. Raises CannotBeSent for one we never had."""
        if method_id not in self.methods:
            known = ", ".join(one.id for one in self.methods.values() if not one.archived)
            raise CannotBeSent.at("/shipping_method", f"No such method; there are: {known}.")
        return self.methods[method_id]


def terms(rates: Iterable[TaxRate], methods: Iterable[ShippingMethod]) -> Terms:
    """Gather rates and methods; methods keep their order."""
    table: dict[tuple[str, str], list[tuple[date, int]]] = {}
    for rate in rates:
        by_day = table.setdefault((rate.country, rate.tax_class), [])
        by_day.append((rate.valid_from, rate.basis_points))
    return Terms(
        {key: tuple(sorted(by_day, reverse=True)) for key, by_day in table.items()},
        {method.id: method for method in methods},
    )


def check_method(body: MethodBody) -> None:
    """See that a method can be meant. Raises Validation."""
    if body.days_max < body.days_min:
        raise Validation.at("/days_max", "Not less than days_min.")
    if len({step.from_g for step in body.weight_steps}) < len(body.weight_steps):
        raise Validation.at("/weight_steps", "Two steps begin at the same weight.")
