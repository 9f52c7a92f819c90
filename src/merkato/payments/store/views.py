"""Payments, refunds and the ledger as they are shown."""

from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx


class OperationView(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of a provider, or decided by rule. Amounts in minor units."""

    id: UUID
    payment_id: UUID
    kind: str  # authorise | capture | void | refund
    attempt: int
    method: str
    amount_minor: int
    currency: str
    state: str  # intent | sent | unknown | action_required | succeeded | failed | mismatch
    reference: str | None  # the provider's name of it
    url: str | None  # where the customer has to go
    reason: str | None
    credit_id: UUID | None
    created_at: datetime
    ended_at: datetime | None


class CreditView(msgspec.Struct, frozen=True, kw_only=True):
    """So much less the order costs; operations with its id say how it is given."""

    id: UUID
    amount_minor: int


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as it is shown. Amounts in minor units; `note` for staff alone."""

    id: UUID
    order_id: UUID
    customer_id: UUID | None
    wanted: str  # pay | nothing
    method: str
    amount_minor: int
    currency: str
    state: str
    attempt: int
    authorised_minor: int
    captured_minor: int
    voided_minor: int
    refunded_minor: int
    refunding_minor: int
    credits: list[CreditView]  # of the order, as far as heard
    pay_until: datetime | None
    note: str | None
    version: int
    created_at: datetime
    operations: list[OperationView]


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger; the lines of one posting sum to zero."""

    operation_id: UUID
    posting: int  # 1: it happened; 2: it was undone
    account: str  # receivable | customer | processor | bank
    amount_minor: int
    currency: str
    order_id: UUID
    payment_id: UUID
    posted_at: datetime


PAYMENTS = """
select p.*, (select coalesce(jsonb_agg(to_jsonb(o) order by o.created_at, o.id), '[]')
               from operations o where o.payment_id = p.id) as operations
  from payments p
 where ($1::uuid is null or p.id = $1) and ($2::uuid is null or p.order_id = $2)
   and ($3::text is null or p.state = $3) and ($4::uuid is null or p.customer_id = $4)
   and ($5::timestamptz is null or p.created_at >= $5)
   and ($6::timestamptz is null or (p.created_at, p.id) < ($6, $7::uuid))
 order by p.created_at desc, p.id desc limit $8
"""


async def newest(
    tx: Tx,
    *,
    payment_id: UUID | None = None,
    order_id: UUID | None = None,
    state: str | None = None,
    customer_id: UUID | None = None,
    since: datetime | None = None,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 1,
) -> list[PaymentView]:
    """List payments, newest first, as far as they meet every filter that is given."""
    at, id = after or (None, None)
    rows = await tx.fetch(PAYMENTS, payment_id, order_id, state, customer_id, since, at, id, limit)
    return [msgspec.convert(dict(row), PaymentView) for row in rows]


OF_PERSON = """
select p.*, (select coalesce(jsonb_agg(to_jsonb(o) order by o.created_at, o.id), '[]')
               from operations o where o.payment_id = p.id) as operations
  from payments p
 where p.customer_id = $1 and ($2::timestamptz is null or (p.created_at, p.id) > ($2, $3::uuid))
 order by p.created_at, p.id limit $4
"""


async def of_person(
    tx: Tx, user_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[PaymentView]:
    """List a user's payments, oldest first."""
    rows = await tx.fetch(OF_PERSON, user_id, *(after or (None, None)), limit)
    return [msgspec.convert(dict(row), PaymentView) for row in rows]


OPERATION = """
select id, payment_id, kind, attempt, method, amount_minor, currency, state, reference, url, reason,
       credit_id, created_at, ended_at
  from operations where id = $1
"""


async def operation(tx: Tx, operation_id: UUID) -> OperationView | None:
    """Read one operation."""
    row = await tx.fetchrow(OPERATION, operation_id)
    return OperationView(**row) if row else None


class RefundView(OperationView, frozen=True, kw_only=True):
    """A refund in a list, with the order it is of."""

    order_id: UUID


REFUNDS = """
select o.id, o.payment_id, o.kind, o.attempt, o.method, o.amount_minor, o.currency, o.state,
       o.reference, o.url, o.reason, o.credit_id, o.created_at, o.ended_at, p.order_id
  from operations o join payments p on p.id = o.payment_id
 where o.kind = 'refund' and ($1::text is null or o.state = $1)
   and ($2::timestamptz is null or (o.created_at, o.id) < ($2, $3::uuid))
 order by o.created_at desc, o.id desc limit $4
"""


async def refunds(
    tx: Tx, state: str | None, before: tuple[datetime, UUID] | None, limit: int
) -> list[RefundView]:
    """List refunds, newest first."""
    rows = await tx.fetch(REFUNDS, state, *(before or (None, None)), limit)
    return [RefundView(**row) for row in rows]


LEDGER = """
select seq, operation_id, posting, account, amount_minor, currency, order_id, payment_id, posted_at
  from entries
 where ($1::uuid is null or order_id = $1) and ($2::text is null or account = $2)
   and ($3::bigint is null or seq < $3)
 order by seq desc limit $4
"""


async def ledger(
    tx: Tx, order_id: UUID | None, account: str | None, before: int | None, limit: int
) -> list[tuple[int, EntryView]]:
    """List entries with their places in the ledger, newest first."""
    rows = await tx.fetch(LEDGER, order_id, account, before, limit)
    return [(row["seq"], EntryView(**dict(list(row.items())[1:]))) for row in rows]
