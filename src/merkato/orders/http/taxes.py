"""What staff say about prices: tax rates by country, class and day; price lists of customers."""

from datetime import date
from uuid import UUID

import msgspec
from litestar import delete, get, put

from merkato.chassis.db import Database
from merkato.chassis.http import Cursor, Limit, Page, decode_cursor, encode_cursor, staff
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Validation
from merkato.contracts.values import Country, TaxClass
from merkato.orders.actions import terms as actions
from merkato.orders.domain.offers import STANDARD
from merkato.orders.domain.terms import BasisPoints, MethodId, TaxRate
from merkato.orders.http.desk import Desk
from merkato.orders.http.shipping import CountryParam
from merkato.orders.store import terms as store

RATES = "/api/v1/tax-rates"
RATE = f"{RATES}/{{country:str}}/{{tax_class:str}}/{{valid_from:str}}"
LISTS = "/api/v1/customer-price-lists"
CONFIGURE = staff("orders:configure")


class PutRate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of PUT /tax-rates/…: 1,900 basis points are 19 percent."""

    basis_points: BasisPoints


class PutList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of PUT /customer-price-lists/{customer_id}: the name of a list of the catalogue."""

    price_list: MethodId


class CustomerList(msgspec.Struct, frozen=True, kw_only=True):
    """By which list a customer pays; what it has no price for costs what `standard` says."""

    customer_id: UUID
    price_list: str


@get(RATES, policy=CONFIGURE)
async def list_rates(
    db: Database, country: CountryParam = None, limit: Limit = 20, cursor: Cursor = None
) -> Page[TaxRate]:
    """List tax rates by country, class and the day (UTC) from which they count."""
    after = decode_cursor(cursor, tuple[str, str, date]) or ("", "", date.min)
    async with db.reading() as tx:
        rows = await store.list_rates(tx, country, after, limit + 1)
    items = [msgspec.convert(dict(row), TaxRate) for row in rows[:limit]]
    more = None
    if len(rows) > limit:
        more = encode_cursor(items[-1].country, items[-1].tax_class, items[-1].valid_from)
    return Page(items=items, next_cursor=more)


@put(RATE, policy=CONFIGURE, status_code=200)
async def put_rate(
    country: str,
    tax_class: str,
    valid_from: str,
    data: PutRate,
    caller: Caller,
    db: Database,
    desk: Desk,
) -> TaxRate:
    """Say what tax is due in a country for a class of goods, from a day (UTC) on.

    Counts within seconds, and never for orders that exist. Harmless to repeat.
    """
    rate = _rate(country, tax_class, valid_from, data.basis_points)
    async with db.transaction() as tx:
        await actions.put_rate(tx, caller, rate)
    desk.forget_terms()
    return rate


@delete(RATE, policy=CONFIGURE, status_code=204)
async def delete_rate(
    country: str, tax_class: str, valid_from: str, caller: Caller, db: Database, desk: Desk
) -> None:
    """Take a tax rate back: the one before it counts again. Harmless to repeat."""
    rate = _rate(country, tax_class, valid_from, 0)
    async with db.transaction() as tx:
        await actions.delete_rate(tx, caller, rate)
    desk.forget_terms()


def _rate(country: str, tax_class: str, valid_from: str, basis_points: int) -> TaxRate:
    for name, value, form in (
        ("country", country, Country), ("tax_class", tax_class, TaxClass),
        ("valid_from", valid_from, date),
    ):  # fmt: skip
        try:
            msgspec.convert(value, form, strict=False)
        except msgspec.ValidationError as error:
            detail = "A country (DE), a tax class (standard) and a day (2026-01-31)."
            raise Validation.at(f"/{name}", detail) from error
    return TaxRate(
        country=country,
        tax_class=tax_class,
        valid_from=date.fromisoformat(valid_from),
        basis_points=basis_points,
    )


@get(LISTS, policy=CONFIGURE)
async def customer_lists(
    db: Database, limit: Limit = 20, cursor: Cursor = None
) -> Page[CustomerList]:
    """List the customers who pay by another list than the standard one."""
    after = decode_cursor(cursor, tuple[UUID])
    async with db.reading() as tx:
        rows = await store.lists(tx, after[0] if after else None, limit + 1)
    items = [msgspec.convert(dict(row), CustomerList) for row in rows[:limit]]
    more = encode_cursor(items[-1].customer_id) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)


@put(f"{LISTS}/{{customer_id:uuid}}", policy=CONFIGURE, status_code=200)
async def put_customer_list(
    customer_id: UUID, data: PutList, caller: Caller, db: Database
) -> CustomerList:
    """Have a customer pay by a price list of the catalogue, from now on. Harmless to repeat."""
    async with db.transaction() as tx:
        await actions.promise_list(tx, caller, customer_id, data.price_list)
    return CustomerList(customer_id=customer_id, price_list=data.price_list)


@delete(f"{LISTS}/{{customer_id:uuid}}", policy=CONFIGURE, status_code=204)
async def delete_customer_list(customer_id: UUID, caller: Caller, db: Database) -> None:
    """Have a customer pay by the standard list again. Harmless to repeat."""
    async with db.transaction() as tx:
        await actions.promise_list(tx, caller, customer_id, STANDARD)


ROUTES = (
    list_rates, put_rate, delete_rate, customer_lists, put_customer_list, delete_customer_list,
)  # fmt: skip
