"""What a basket costs: minor units, rounded half up per line; the parts sum exactly."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from merkato.contracts.catalog import Price
from merkato.contracts.problem import UnknownProduct, Validation
from merkato.contracts.values import AMOUNT_MAX

STANDARD = "standard"  # the one price list there is


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What orders knows of a sku."""

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


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A rate of one country for one class of goods, from a day on."""

    country: str
    tax_class: str
    basis_points: int
    valid_from: date


class ShippingMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A way to send goods."""

    id: str
    titles: Mapping[str, str]
    countries: tuple[str, ...] | None
    prices: Mapping[str, int]
    free_from: Mapping[str, int]
    days_min: int
    days_max: int
    tax_class: str

    def goes_to(self, country: str | None) -> bool:
        """Tell whether it goes to a country; None for one that is not known yet."""
        return self.countries is None or country is None or country in self.countries

    def cost(self, currency: str, country: str | None, items_minor: int) -> int | None:
        """Give the price in minor units, None where it does not go or has no price."""
        if not self.goes_to(country):
            return None
        price = self.prices.get(currency)
        free_from = self.free_from.get(currency)
        return 0 if free_from is not None and items_minor >= free_from else price


class Terms(msgspec.Struct, frozen=True):
    """The rates and methods of the shop."""

    rates: tuple[TaxRate, ...]
    methods: tuple[ShippingMethod, ...]

    def rate(self, country: str | None, tax_class: str, on: date) -> int:
        """Give the basis points due; 0 where we owe no tax."""
        found = [
            rate
            for rate in self.rates
            if rate.country == country and rate.tax_class == tax_class and rate.valid_from <= on
        ]
        return max(found, key=lambda rate: rate.valid_from).basis_points if found else 0

    def method(self, method_id: str) -> ShippingMethod:
        """Give a method. Raises Validation for one we do not have."""
        for method in self.methods:
            if method.id == method_id:
                return method
        known = ", ".join(method.id for method in self.methods)
        raise Validation.at("/shipping_method", f"No such shipping method; there are: {known}.")


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """An amount and what of it is tax: gross = net + tax."""

    net_minor: int
    tax_minor: int
    gross_minor: int
    rate_bp: int


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """So many of what is offered, at the price of the list or, for a piece, one agreed on."""

    offer: Offer
    quantity: int
    agreed_minor: int | None = None


class PricedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its price and tax."""

    offer: Offer
    quantity: int
    title: str
    list_price_minor: int
    unit_price_minor: int
    share: Share


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A basket with all its sums."""

    currency: str
    tax_included: bool
    lines: tuple[PricedLine, ...]
    items_minor: int
    shipping_method: str | None
    shipping: Share
    tax_minor: int
    grand_minor: int


def price_of(offer: Offer, currency: str, quantity: int) -> Price | None:
    """Look up what a piece costs: the row of the standard list with the largest step reached."""
    rows = [
        price
        for price in offer.prices
        if price.price_list == STANDARD
        and price.currency == currency
        and price.from_quantity <= quantity
    ]
    return max(rows, key=lambda price: price.from_quantity) if rows and offer.active else None


def share(amount_minor: int, rate_bp: int, *, tax_included: bool) -> Share:
    """Divide an amount into net and tax, rounding half up."""
    if tax_included:
        net = _half_up(amount_minor * 10_000, 10_000 + rate_bp)
        return Share(
            net_minor=net, tax_minor=amount_minor - net, gross_minor=amount_minor, rate_bp=rate_bp
        )
    tax = _half_up(amount_minor * rate_bp, 10_000)
    return Share(
        net_minor=amount_minor, tax_minor=tax, gross_minor=amount_minor + tax, rate_bp=rate_bp
    )


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def price(
    items: Sequence[Item],
    *,
    currency: str,
    locale: str,
    country: str | None,
    shipping_method: str | None,
    terms: Terms,
    on: date,
    agreed_shipping_minor: int | None = None,
) -> Priced:
    """Price a basket. What was agreed on replaces the price of the list, or of the method.

    Raises UnknownProduct for what cannot be bought in this currency, Validation for a shipping
    method that does not go there and for sums beyond 10**12.
    """
    lines = tuple(
        _price_line(item, currency, locale, terms.rate(country, item.offer.tax_class, on))
        for item in items
    )
    tax_included = all(_included(line, currency) for line in lines)
    items_minor = sum(line.unit_price_minor * line.quantity for line in lines)
    shipping = Share(net_minor=0, tax_minor=0, gross_minor=0, rate_bp=0)
    if shipping_method is not None:
        method = terms.method(shipping_method)
        cost = agreed_shipping_minor
        if cost is None:
            cost = method.cost(currency, country, items_minor)
        if cost is None or not method.goes_to(country):
            raise Validation.at("/shipping_method", f"{method.id} does not go there.")
        rate = terms.rate(country, method.tax_class, on)
        shipping = share(cost, rate, tax_included=tax_included)
    elif agreed_shipping_minor is not None:
        raise Validation.at("/agreed_shipping", "Say by which shipping_method it is sent.")
    grand = sum(line.share.gross_minor for line in lines) + shipping.gross_minor
    if grand > AMOUNT_MAX:
        raise Validation.at("/lines", f"An order is worth at most {AMOUNT_MAX} minor units.")
    return Priced(
        currency=currency,
        tax_included=tax_included,
        lines=lines,
        items_minor=items_minor,
        shipping_method=shipping_method,
        shipping=shipping,
        tax_minor=sum(line.share.tax_minor for line in lines) + shipping.tax_minor,
        grand_minor=grand,
    )


def _price_line(item: Item, currency: str, locale: str, rate_bp: int) -> PricedLine:
    offer, quantity = item.offer, item.quantity
    found = price_of(offer, currency, quantity)
    if found is None:
        raise UnknownProduct(f"{offer.sku} is not sold in {currency}.", skus=[offer.sku])
    unit = found.amount_minor if item.agreed_minor is None else item.agreed_minor
    list_price = price_of(offer, currency, 1) or found
    return PricedLine(
        offer=offer,
        quantity=quantity,
        title=title(offer.titles, locale) or offer.sku,
        list_price_minor=list_price.amount_minor,
        unit_price_minor=unit,
        share=share(unit * quantity, rate_bp, tax_included=found.tax_included),
    )


def _included(line: PricedLine, currency: str) -> bool:
    found = price_of(line.offer, currency, line.quantity)
    return found is None or found.tax_included


def title(titles: Mapping[str, str], locale: str) -> str | None:
    """Choose a text: the locale's, its language's, English, any."""
    for wanted in (locale, locale.partition("-")[0], "en"):
        if wanted in titles:
            return titles[wanted]
    return next(iter(titles.values()), None)
