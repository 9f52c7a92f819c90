"""Payments as rows, with their operations and the ledger's entries; written set-based."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.payments.domain.payment import Credit, Operation, Payment, entries

LOCK = """
select id, order_id, customer_id, wanted, method, amount_minor, currency, pay_until, credits
  from payments where order_id = any($1::uuid[]) order by order_id for update
"""


async def lock(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Payment]:
    """Read the payments of these orders, by order, and keep others from changing them."""
    return await _whole(tx, await tx.fetch(LOCK, sorted(order_ids)))


READ = LOCK.replace(" for update", "")


async def read(tx: Tx, order_id: UUID) -> Payment | None:
    """Read the payment of an order as it is now; `tx` should see one moment."""
    return (await _whole(tx, await tx.fetch(READ, [order_id]))).get(order_id)


LOCK_BY_ID = LOCK.replace("order_id = any($1::uuid[])", "id = any($1::uuid[])")


async def lock_by_id(tx: Tx, payment_id: UUID) -> Payment | None:
    """Do the same for one payment by its id."""
    for payment in (await _whole(tx, await tx.fetch(LOCK_BY_ID, [payment_id]))).values():
        return payment
    return None


async def _whole(tx: Tx, rows: Sequence[Row]) -> dict[UUID, Payment]:
    found = await operations(tx, [row["id"] for row in rows]) if rows else {}
    return {
        row["order_id"]: Payment(
            **{**row, "credits": msgspec.convert(row["credits"], tuple[Credit, ...])},
            operations=tuple(found.get(row["id"], ())),
        )
        for row in rows
    }


OPERATIONS = """
select payment_id, id, kind, key, attempt, method, amount_minor, currency, state, reference,
       origin, payment_token, url, reason, credit_id, tries
  from operations where payment_id = any($1::uuid[]) order by created_at, id
"""


async def operations(tx: Tx, payment_ids: Sequence[UUID]) -> dict[UUID, list[Operation]]:
    """Read what was asked for these payments, oldest first."""
    found: dict[UUID, list[Operation]] = {}
    for row in await tx.fetch(OPERATIONS, payment_ids):
        fields = dict(row)
        found.setdefault(fields.pop("payment_id"), []).append(Operation(**fields))
    return found


INSERT = """
insert into payments (id, order_id, customer_id, wanted, method, amount_minor, currency, pay_until,
                      state, attempt, authorised_minor, captured_minor, voided_minor,
                      refunded_minor, refunding_minor)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                     $7::text[], $8::timestamptz[], $9::text[], $10::int[], $11::bigint[],
                     $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
"""
UPDATE = """
update payments p
   set customer_id = n.customer_id, wanted = n.wanted, method = n.method,
       pay_until = n.pay_until, state = n.state, attempt = n.attempt,
       authorised_minor = n.authorised_minor, captured_minor = n.captured_minor,
       voided_minor = n.voided_minor, refunded_minor = n.refunded_minor,
       refunding_minor = n.refunding_minor, version = version + 1,
       changed_at = clock_timestamp()
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
              $7::text[], $8::timestamptz[], $9::text[], $10::int[], $11::bigint[],
              $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
       n(id, order_id, customer_id, wanted, method, amount_minor, currency, pay_until, state,
         attempt, authorised_minor, captured_minor, voided_minor, refunded_minor, refunding_minor)
 where p.id = n.id
"""


async def _write(tx: Tx, statement: str, payments: Sequence[Payment]) -> None:
    rows = [
        (
            p.id, p.order_id, p.customer_id, p.wanted, p.method, p.amount_minor, p.currency,
            p.pay_until, p.state, p.attempt.attempt if p.attempt else 0, p.authorised_minor,
            p.captured_minor, p.voided_minor, p.refunded_minor, p.refunding_minor,
        )
        for p in payments
    ]  # fmt: skip
    if rows:
        await tx.execute(statement, *map(list, zip(*rows, strict=True)))


PUT_CREDITS = """
update payments p set credits = n.credits
  from unnest($1::uuid[], $2::jsonb[]) n(id, credits) where p.id = n.id
"""


async def _write_credits(tx: Tx, payments: Sequence[Payment]) -> None:
    if payments:
        known = [msgspec.to_builtins(payment.credits) for payment in payments]
        await tx.execute(PUT_CREDITS, [payment.id for payment in payments], known)


PUT_OPERATIONS = """
insert into operations (payment_id, id, kind, key, attempt, method, amount_minor, currency, state,
                        reference, origin, payment_token, url, reason, credit_id, tries, ask_at,
                        ended_at)
select o.payment_id, o.id, o.kind, o.key, o.attempt, o.method, o.amount_minor, o.currency, o.state,
       o.reference, o.origin, o.payment_token, o.url, o.reason, o.credit_id, o.tries,
       clock_timestamp() + make_interval(secs => o.ask_in_s),
       case when o.state in ('succeeded', 'failed') then clock_timestamp() end
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::bigint[],
              $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
              $14::text[], $15::uuid[], $16::int[], $17::int[])
       o(payment_id, id, kind, key, attempt, method, amount_minor, currency, state, reference,
         origin, payment_token, url, reason, credit_id, tries, ask_in_s)
on conflict (key) do update
   set amount_minor = excluded.amount_minor, state = excluded.state,
       reference = excluded.reference, payment_token = excluded.payment_token,
       url = excluded.url, reason = excluded.reason, ask_at = excluded.ask_at,
       ended_at = excluded.ended_at
"""
POST = """
insert into entries (operation_id, posting, account, amount_minor, currency, order_id, payment_id)
select * from unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[], $5::text[], $6::uuid[],
                     $7::uuid[])
"""


async def save(tx: Tx, changes: Sequence[tuple[Payment | None, Payment]]) -> None:
    """Write payments (before, after), their changed operations and the ledger's postings.

    A payment that existed must be locked.
    """
    await _write(tx, INSERT, [after for before, after in changes if before is None])
    moved = [(before, after) for before, after in changes if before and before != after]
    await _write(tx, UPDATE, [after for _, after in moved])
    await _write_credits(tx, [a for b, a in moved if a.credits != b.credits])
    rows, posted = [], []
    for before, after in changes:
        known = {o.key: o for o in before.operations} if before else {}
        for o in after.operations:
            if o != known.get(o.key):
                rows.append(
                    (
                        after.id, o.id, o.kind, o.key, o.attempt, o.method, o.amount_minor,
                        o.currency, o.state, o.reference, o.origin, o.payment_token, o.url,
                        o.reason, o.credit_id, o.tries, o.ask_in_s,
                    )
                )  # fmt: skip
                posted += _postings(after, known.get(o.key), o)
    if rows:
        await tx.execute(PUT_OPERATIONS, *map(list, zip(*rows, strict=True)))
    if posted:
        await tx.execute(POST, *map(list, zip(*posted, strict=True)))


def _postings(
    payment: Payment, before: Operation | None, after: Operation
) -> list[tuple[object, ...]]:
    """Post an operation when it came about, and the reverse when it was undone."""
    was = before is not None and before.state == "succeeded"
    if was == (after.state == "succeeded"):
        return []
    posting, sign = (2, -1) if was else (1, 1)
    return [
        (after.id, posting, account, sign * amount, after.currency, payment.order_id, payment.id)
        for account, amount in entries(after)
    ]


OF_PEOPLE = """
select id, order_id from payments where customer_id = any($1) or order_id = any($2)
 order by id for no key update
"""


async def of_people(tx: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> list[Row]:
    """Lock the payments of users, and those of orders, by id."""
    return await tx.fetch(OF_PEOPLE, list(users), list(orders))


FORGET_NOTES = """
update payments set note = '', version = version + 1 where id = any($1) and note <> ''
"""


async def forget_notes(tx: Tx, payment_ids: Sequence[UUID]) -> None:
    """Blank what staff noted on locked payments."""
    await tx.execute(FORGET_NOTES, list(payment_ids))


OF_ATTEMPT = """
select payment_id from operations where reference = $1 and kind = 'authorise' limit 1
"""


async def of_attempt(tx: Tx, reference: str) -> UUID | None:
    """Find the payment of an attempt by the provider's name of it."""
    found: UUID | None = await tx.fetchval(OF_ATTEMPT, reference)
    return found


NOTE = """
update payments set note = $2, version = version + 1, changed_at = clock_timestamp() where id = $1
"""


async def write_note(tx: Tx, payment_id: UUID, note: str) -> None:
    """Write the staff's note."""
    await tx.execute(NOTE, payment_id, note)


DELETE = "delete from payments where id = $1"


async def delete(tx: Tx, payment_id: UUID) -> None:
    """Forget a payment and its operations; the ledger's key refuses it where money moved."""
    await tx.execute(DELETE, payment_id)


PAYABLE = "select $1::timestamptz > clock_timestamp()"


async def is_before(tx: Tx, deadline: datetime | None) -> bool:
    """Tell by the database's clock whether a deadline is still to come."""
    return bool(await tx.fetchval(PAYABLE, deadline))
