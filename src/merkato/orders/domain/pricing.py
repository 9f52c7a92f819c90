"""What a basket costs: minor units, rounded half up per line; the parts sum exactly. Pure.

`price` is the one function that says so: for a cart that is looked at, for an order that is placed,
and for the total that a customer was shown.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from merkato.contracts.problem import UnknownProduct, Validation
from merkato.contracts.values import AMOUNT_MAX
from merkato.orders.domain import coupons
from merkato.orders.domain.coupons import Coupon, CouponInvalid, Reduction
from merkato.orders.domain.offers import STANDARD, Offer, price_of, title
from merkato.orders.domain.terms import CannotBeSent, Terms


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """So many of what is offered, at the price of the list or, for a piece, one agreed on."""

    offer: Offer
    quantity: int
    agreed_minor: int | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be priced. Country None: not known yet, so no tax is due."""

    items: tuple[Item, ...]
    currency: str
    locale: str
    country: str | None = None
    price_list: str = STANDARD
    shipping_method: str | None = None
    agreed_shipping_minor: int | None = None  # replaces what the method costs
    coupon: Coupon | None = None


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """An amount and what of it is tax: gross = net + tax."""

    net_minor: int
    tax_minor: int
    gross_minor: int
    rate_bp: int


class PricedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its price and tax; `share` is of what is left after the discount."""

    offer: Offer
    quantity: int
    title: str
    price_list: str
    list_price_minor: int
    unit_price_minor: int
    discount_minor: int
    share: Share
    agreed: bool = False  # the price of a piece is not the list's


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken off a line, or off the shipping (line_no None), and why."""

    line_no: int | None
    source: str  # coupon
    code: str
    amount_minor: int


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A basket with all its sums. `items_minor` is before discount; `shipping` is after."""

    currency: str
    tax_included: bool
    lines: tuple[PricedLine, ...]
    items_minor: int
    discount_minor: int
    shipping_method: str | None
    shipping: Share
    tax_minor: int
    grand_minor: int
    coupon: Coupon | None = None
    adjustments: tuple[Adjustment, ...] = ()


NO_SHARE = Share(net_minor=0, tax_minor=0, gross_minor=0, rate_bp=0)
NOTHING_OFF = Reduction()


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


def spread(amount_minor: int, over: Sequence[int]) -> list[int]:
    """Divide an amount in proportion, by largest remainder: the parts sum to it exactly.

    `over` are amounts that sum to at least as much; no part is more than its own. Of equal
    remainders the first wins. (Hamilton's method.)
    """
    total = sum(over)
    if total == 0:
        return [0] * len(over)
    parts = [amount_minor * one // total for one in over]
    left = amount_minor - sum(parts)
    by_remainder = sorted(range(len(over)), key=lambda n: (-(amount_minor * over[n] % total), n))
    for n in by_remainder[:left]:
        parts[n] += 1
    return parts


def price(asked: Asked, terms: Terms, now: datetime) -> Priced:
    """Price a basket. What was agreed on replaces the price of the list, or of the method.

    Raises UnknownProduct for what cannot be bought in this currency, CouponInvalid, CannotBeSent
    for a shipping method that does not fit, and Validation for sums beyond 10**12.
    """
    found = [_look_up(item, asked) for item in asked.items]
    tax_included = _tax_included([one.tax_included for one in found])
    amounts = [one.unit_minor * one.item.quantity for one in found]
    items_minor = sum(amounts)
    off = NOTHING_OFF
    if asked.coupon is not None:
        coupons.check(asked.coupon, asked.currency, items_minor, now)
        off = coupons.reduction(asked.coupon, asked.currency, items_minor)
    parts = spread(off.items_minor, amounts) if off.items_minor else [0] * len(amounts)
    on = now.date()
    lines = tuple(
        _line(one, part, asked, terms.rate(asked.country, one.item.offer.tax_class, on))
        for one, part in zip(found, parts, strict=True)
    )
    shipping, cost = NO_SHARE, _shipping_cost(asked, terms, items_minor - off.items_minor)
    if asked.shipping_method is not None:
        tax_class = terms.method(asked.shipping_method).tax_class
        rate_bp = terms.rate(asked.country, tax_class, on)
        due = 0 if off.free_shipping else cost
        shipping = share(due, rate_bp, tax_included=tax_included)
    grand = sum(line.share.gross_minor for line in lines) + shipping.gross_minor
    if max(grand, items_minor) > AMOUNT_MAX:
        raise Validation.at("/lines", f"An order is worth at most {AMOUNT_MAX} minor units.")
    return Priced(
        currency=asked.currency,
        tax_included=tax_included,
        lines=lines,
        items_minor=items_minor,
        discount_minor=off.items_minor,
        shipping_method=asked.shipping_method,
        shipping=shipping,
        tax_minor=sum(line.share.tax_minor for line in lines) + shipping.tax_minor,
        grand_minor=grand,
        coupon=asked.coupon,
        adjustments=_adjustments(asked.coupon, parts, cost if off.free_shipping else 0),
    )


class _Found(msgspec.Struct, frozen=True):
    """An item with what its price list says."""

    item: Item
    price_list: str
    tax_included: bool
    unit_minor: int
    single_minor: int  # of the list, if one piece is bought


def _look_up(item: Item, asked: Asked) -> _Found:
    offer = item.offer
    found = price_of(offer, asked.currency, item.quantity, asked.price_list)
    if found is None:
        raise UnknownProduct(f"{offer.sku} is not sold in {asked.currency}.", skus=[offer.sku])
    single = price_of(offer, asked.currency, 1, asked.price_list) or found
    unit = found.amount_minor if item.agreed_minor is None else item.agreed_minor
    return _Found(item, found.price_list, found.tax_included, unit, single.amount_minor)


def _line(one: _Found, discount_minor: int, asked: Asked, rate_bp: int) -> PricedLine:
    offer, quantity = one.item.offer, one.item.quantity
    left = one.unit_minor * quantity - discount_minor
    return PricedLine(
        offer=offer,
        quantity=quantity,
        title=title(offer.titles, asked.locale) or offer.sku,
        price_list=one.price_list,
        list_price_minor=one.single_minor,
        unit_price_minor=one.unit_minor,
        discount_minor=discount_minor,
        share=share(left, rate_bp, tax_included=one.tax_included),
        agreed=one.item.agreed_minor is not None,
    )


def _tax_included(each: Sequence[bool]) -> bool:
    if any(each) and not all(each):
        detail = "Some prices include tax and some do not: these goods are ordered apart."
        raise Validation.at("/lines", detail)
    return all(each)


def _shipping_cost(asked: Asked, terms: Terms, goods_minor: int) -> int:
    """Give what sending costs before a coupon. Raises CannotBeSent."""
    if asked.shipping_method is None:
        if asked.agreed_shipping_minor is not None:
            raise Validation.at("/agreed_shipping", "Say by which shipping_method it is sent.")
        return 0
    method = terms.method(asked.shipping_method)
    weight_g = sum(item.offer.weight_g * item.quantity for item in asked.items)
    refusal = method.refusal(asked.country, weight_g)
    if refusal is not None:
        raise CannotBeSent.at("/shipping_method", refusal)
    if asked.agreed_shipping_minor is not None:
        return asked.agreed_shipping_minor
    cost = method.cost(asked.currency, goods_minor, weight_g)
    if cost is None:
        detail = f"{method.id} has no price in {asked.currency}."
        raise CannotBeSent.at("/shipping_method", detail)
    return cost


def _adjustments(
    coupon: Coupon | None, parts: Sequence[int], shipping_minor: int
) -> tuple[Adjustment, ...]:
    if coupon is None:
        return ()
    off: list[tuple[int | None, int]] = [(n, part) for n, part in enumerate(parts, 1) if part]
    off += [(None, shipping_minor)] if shipping_minor else []
    return tuple(
        Adjustment(line_no=line_no, source="coupon", code=coupon.code, amount_minor=amount)
        for line_no, amount in off
    )


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A cart as far as it can be priced, and why its coupon counts for nothing, if so.

    With a `refusal` its goods cannot be ordered in one: nothing of it is priced.
    """

    priced: Priced
    coupon_refusal: str | None = None
    refusal: Validation | None = None


def quote(asked: Asked, terms: Terms, now: datetime) -> Quote:
    """Price what of a cart can be bought now: without goods, a method or a coupon that cannot be.

    Sums beyond 10**12, and prices with tax beside prices without, are its `refusal`.
    """
    for_sale = tuple(
        item
        for item in asked.items
        if price_of(item.offer, asked.currency, item.quantity, asked.price_list) is not None
    )
    asked, refused = msgspec.structs.replace(asked, items=for_sale), None
    while True:
        try:
            return Quote(priced=price(asked, terms, now), coupon_refusal=refused)
        except CannotBeSent:
            asked = msgspec.structs.replace(asked, shipping_method=None)
        except CouponInvalid as refusal:
            refused = refusal.members["reason"]
            asked = msgspec.structs.replace(asked, coupon=None)
        except Validation as refusal:
            nothing = msgspec.structs.replace(asked, items=(), shipping_method=None, coupon=None)
            return Quote(priced=price(nothing, terms, now), refusal=refusal)
