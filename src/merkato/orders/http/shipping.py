"""Ways to send goods: what customers choose from, and what staff offer."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, put
from litestar.params import Parameter

from merkato.chassis.db import Database
from merkato.chassis.http import ANYONE, IfMatch, Page, etag, expected_version, staff
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound, Validation
from merkato.contracts.values import COUNTRY, CURRENCY, LOCALE
from merkato.orders.actions import terms as actions
from merkato.orders.domain.offers import title
from merkato.orders.domain.placing import tax_country
from merkato.orders.domain.terms import MethodBody, MethodId, ShippingMethod
from merkato.orders.http.cart_views import HTTPRequest, mine, priced
from merkato.orders.http.desk import Desk
from merkato.orders.store import terms as store

METHODS = "/api/v1/shipping-methods"
METHOD = f"{METHODS}/{{method_id:str}}"
CONFIGURE = staff("orders:configure")
Grams = Annotated[int, Parameter(ge=0, le=10**9)]
# Limits of a query stand in a Parameter: the framework looks past those of msgspec.
CountryParam = Annotated[str | None, Parameter(pattern=COUNTRY)]
CurrencyParam = Annotated[str, Parameter(pattern=CURRENCY)]
LocaleParam = Annotated[str, Parameter(pattern=LOCALE)]


class MethodView(msgspec.Struct, frozen=True, kw_only=True):
    """A way to send a cart, with its price in minor units."""

    id: str
    title: str
    price_minor: int
    currency: str
    days_min: int
    days_max: int


@get(METHODS, policy=ANYONE)
async def shipping_methods(
    request: HTTPRequest,
    caller: Caller,
    desk: Desk,
    cart_id: UUID | None = None,
    country: CountryParam = None,
    currency: CurrencyParam = "EUR",
    locale: LocaleParam = "en",
    weight_g: Grams = 0,
) -> Page[MethodView]:
    """List the ways to send a cart, or so many grams in general, with their prices."""
    goods = 0
    if cart_id is not None:
        cart = await mine(cart_id, request, caller, desk)
        currency, locale = cart.currency, cart.locale
        country = country or tax_country(cart.shipping_address, cart.billing_address)
        known = await desk.offers([line.sku for line in cart.lines])
        totals = (await priced(cart, desk, known)).priced
        goods = totals.items_minor - totals.discount_minor
        weight_g = sum(line.offer.weight_g * line.quantity for line in totals.lines)
    found = []
    for method in (await desk.terms()).methods.values():
        cost = method.cost(currency, goods, weight_g)
        if cost is not None and not method.refusal(country, weight_g):
            text = title(method.titles, locale) or method.id
            found.append(
                MethodView(
                    id=method.id, title=text, price_minor=cost, currency=currency,
                    days_min=method.days_min, days_max=method.days_max,
                )
            )  # fmt: skip
    return Page(items=found)


@get(f"{METHODS}/all", policy=CONFIGURE)
async def all_methods(db: Database, archived: bool = False) -> Page[ShippingMethod]:
    """List all that is kept of shipping methods, in the order they are shown."""
    async with db.reading() as tx:
        methods = await store.methods(tx)
    return Page(items=[method for method in methods if archived or not method.archived])


@get(METHOD, policy=CONFIGURE)
async def get_method(method_id: str, db: Database) -> Response[ShippingMethod]:
    """Show all that is kept of a shipping method."""
    async with db.reading() as tx:
        methods = {method.id: method for method in await store.methods(tx)}
    if method_id not in methods:
        raise NotFound("There is no such shipping method.")
    return _answer(methods[method_id], 200)


@put(METHOD, policy=CONFIGURE, also=(201,))
async def put_method(
    method_id: str,
    data: MethodBody,
    caller: Caller,
    db: Database,
    desk: Desk,
    if_match: IfMatch = None,
) -> Response[ShippingMethod]:
    """Make a shipping method (201) or replace it (200, needs If-Match); an archived one is back.

    Prices are in minor units by currency, with tax where the price list has it.
    """
    try:
        msgspec.convert(method_id, MethodId)
    except msgspec.ValidationError as error:
        detail = "A small letter, then small letters, digits and hyphens; 32 at most."
        raise Validation.at("/id", detail) from error
    expected = None if if_match is None else expected_version(if_match)
    async with db.transaction() as tx:
        before, after = await actions.put_method(tx, caller, method_id, data, expected)
    desk.forget_terms()
    return _answer(after, 201 if before is None else 200)


@delete(METHOD, policy=CONFIGURE, status_code=204)
async def archive_method(
    method_id: str, caller: Caller, db: Database, desk: Desk, if_match: IfMatch = None
) -> None:
    """Offer a shipping method no more; orders go on naming it. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await actions.archive_method(tx, caller, method_id, expected)
    desk.forget_terms()


def _answer(method: ShippingMethod, status: int) -> Response[ShippingMethod]:
    headers = {"ETag": etag(method.version)}
    return Response(method, status_code=status, headers=headers)


ROUTES = (shipping_methods, all_methods, get_method, put_method, archive_method)
