"""The rules of coupons: who may use one when, and what it takes off. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from merkato.contracts.problem import Problem, Validation
from merkato.contracts.values import Line
from merkato.orders.domain.terms import Amounts, BasisPoints

# ASCII letters, digits and hyphens alone: no two codes look alike by way of another alphabet.
Code = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}[A-Za-z0-9])?\Z")]
Uses = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class CouponInvalid(Problem):
    """The coupon does not exist, is not valid now, or does not fit; `reason` says which.

    Reasons: unknown, not-yet-valid, expired, minimum-not-reached, currency.
    """

    slug, status, title = "coupon-invalid", 422, "The coupon cannot be used"


class CouponExhausted(Problem):
    """The coupon was used as often as it may be; `reason` says whether by all or by this customer.

    Reasons: limit, customer-limit.
    """

    slug, status, title = "coupon-exhausted", 409, "The coupon is used up"


class Kind(StrEnum):
    """What a coupon takes off."""

    PERCENT = "percent"  # so many basis points of what the goods cost
    FIXED = "fixed"  # an amount, by currency
    FREE_SHIPPING = "free_shipping"


class CouponBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of PUT /coupons/{code}. Amounts are what prices are: with tax where the list has it."""

    kind: Kind
    basis_points: BasisPoints | None = None  # of kind percent; 10,000 are all of it
    amounts: Amounts = {}  # of kind fixed: currency -> minor units, at most what the goods cost
    minimum: Amounts = {}  # what the goods have to cost before discount; other currencies: nothing
    valid_from: Moment | None = None
    valid_until: Moment | None = None  # not valid any more at this moment
    uses_max: Uses | None = None
    uses_per_customer_max: Uses | None = None  # guests count by their e-mail address
    note: Line | None = None  # for staff


class Coupon(CouponBody, frozen=True, kw_only=True):
    """A coupon as it is kept; `uses` are the orders that hold or have used it."""

    code: str
    uses: int = 0
    archived: bool = False
    version: int = 1


class Reduction(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken off: of the goods in minor units, and whether the shipping is free."""

    items_minor: int = 0
    free_shipping: bool = False


def canonical(code: str) -> str:
    """Spell a code as it is kept: in capitals. Raises CouponInvalid for what can be no code."""
    try:
        return msgspec.convert(code, Code).upper()
    except msgspec.ValidationError as error:
        raise unknown(code) from error


def unknown(code: str) -> CouponInvalid:
    """Make the problem of a code that does not exist."""
    return CouponInvalid("There is no such coupon.", code=code, reason="unknown")


def check_body(body: CouponBody) -> None:
    """See that a coupon can be meant. Raises Validation."""
    if (body.kind is Kind.PERCENT) != (body.basis_points is not None):
        raise Validation.at("/basis_points", "For kind percent, and for no other.")
    if (body.kind is Kind.FIXED) != bool(body.amounts):
        raise Validation.at("/amounts", "For kind fixed, and for no other.")
    if 0 in body.amounts.values() or body.basis_points == 0:
        raise Validation("A coupon takes something off.")
    if body.valid_from and body.valid_until and body.valid_until <= body.valid_from:
        raise Validation.at("/valid_until", "Later than valid_from.")


def check(coupon: Coupon, currency: str, items_minor: int, now: datetime) -> None:
    """See that a coupon is valid for goods that cost so much. Raises CouponInvalid."""
    reason = detail = None
    if coupon.archived:
        raise unknown(coupon.code)
    if coupon.valid_from is not None and now < coupon.valid_from:
        reason, detail = "not-yet-valid", "This coupon is not valid yet."
    elif coupon.valid_until is not None and now >= coupon.valid_until:
        reason, detail = "expired", "This coupon is not valid any more."
    elif coupon.kind is Kind.FIXED and currency not in coupon.amounts:
        reason, detail = "currency", f"This coupon takes nothing off in {currency}."
    elif items_minor < coupon.minimum.get(currency, 0):
        reason, detail = "minimum-not-reached", "The goods cost too little for this coupon."
    if reason is not None and detail is not None:
        least = coupon.minimum.get(currency)
        raise CouponInvalid(detail, code=coupon.code, reason=reason, minimum_minor=least)


def reduction(coupon: Coupon, currency: str, items_minor: int) -> Reduction:
    """Say what a coupon takes off goods that cost so much; never more than they cost."""
    match coupon.kind:
        case Kind.PERCENT:
            return Reduction(items_minor=percent(items_minor, coupon.basis_points or 0))
        case Kind.FIXED:
            return Reduction(items_minor=min(items_minor, coupon.amounts.get(currency, 0)))
        case Kind.FREE_SHIPPING:
            return Reduction(free_shipping=True)


def percent(amount_minor: int, basis_points: int) -> int:
    """Take basis points of an amount, rounded half up."""
    return (2 * amount_minor * basis_points + 10_000) // 20_000


def exhausted(coupon: Coupon, uses: int, of_customer: int) -> CouponExhausted | None:
    """Say why no further order may use a coupon that so many have, and so many of a customer's."""
    if coupon.uses_max is not None and uses >= coupon.uses_max:
        return CouponExhausted("This coupon is used up.", code=coupon.code, reason="limit")
    most = coupon.uses_per_customer_max
    if most is not None and of_customer >= most:
        detail = "You have used this coupon as often as you may."
        return CouponExhausted(detail, code=coupon.code, reason="customer-limit")
    return None
