"""Payments as customers, staff and other services see them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import Parameter

from merkato.chassis.db import Database, Tx
from merkato.chassis.http import (
    ANYONE,
    SERVICE,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    etag,
    moment,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller, is_thing_token
from merkato.chassis.trail import note
from merkato.contracts.payments import PaymentState
from merkato.contracts.problem import NotFound, Unauthenticated, Validation
from merkato.contracts.values import AmountMinor, Text
from merkato.payments import actions
from merkato.payments.domain import wishes
from merkato.payments.domain.payment import Payment
from merkato.payments.store import payments as store
from merkato.payments.store import views
from merkato.payments.store.views import PaymentView

OrderToken = Annotated[str | None, Parameter(header="X-Order-Token", max_length=200)]
States = Literal[
    "due", "sent", "unknown", "action_required", "declined", "authorised", "captured", "voided",
    "mismatch",
]  # fmt: skip
READ, WRITE = "payments:read", "payments:write"


class Pay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new attempt to pay an order."""

    order_id: UUID
    method: Literal["on_account", "card"]
    payment_token: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[!-~]+\Z")] | None = None


class Capture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money to take, or that has arrived, in minor units; everything promised by default."""

    amount_minor: AmountMinor | None = None


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note of staff."""

    note: Text


class Access(msgspec.Struct, frozen=True):
    """Who asks for a payment: staff, the customer, or whoever has the order's token."""

    caller: Caller
    shown: str | None  # X-Order-Token
    secret: str

    @property
    def principal(self) -> str:
        """Name the owner of idempotency keys. Raises Unauthenticated for whoever shows nothing."""
        self.identify()
        known = self.caller.kind != "anonymous"
        return self.caller.principal if known else f"token:{self.shown}"

    def identify(self) -> None:
        """Raise Unauthenticated for whoever shows neither a token of theirs nor of an order."""
        if self.caller.kind == "anonymous" and self.shown is None:
            raise Unauthenticated("Log in, or send the order's token as X-Order-Token.")

    def check(self, found: Payment | PaymentView | None, permission: str) -> None:
        """Let those through whom it concerns. Raises Unauthenticated and NotFound."""
        self.identify()
        if found is None or not (
            self.caller.may(permission)
            or (found.customer_id is not None and found.customer_id == self.caller.user_id)
            or (self.secret and is_thing_token(self.secret, found.order_id, self.shown))
        ):
            raise NotFound("There is no such payment.")


@post("/api/v1/payments", policy=ANYONE, status_code=202, answers=PaymentView)
async def pay(
    data: Pay,
    caller: Caller,
    db: Database,
    order_secret: str,
    idempotency_key: IdempotencyKey = None,
    order_token: OrderToken = None,
) -> Response[bytes]:
    """Pay an order again after a decline, in the same or another way, until its `pay_until`.

    202: on account it is decided, a card is being asked. 409 unless the last attempt was declined.
    """
    key = parse_key(idempotency_key, required=True)
    if (data.method == "card") != (data.payment_token is not None):
        raise Validation.at("/payment_token", "A card needs one, on account must not have one.")
    access = Access(caller, order_token, order_secret)

    async def work(tx: Tx) -> Answer:
        payment = (await store.lock(tx, [data.order_id])).get(data.order_id)
        access.check(payment, WRITE)
        after = await actions.pay_again(tx, payment, data.method, data.payment_token)
        return await _accepted(tx, after.id)

    return respond(await once(db, (access.principal, "POST /payments", key), data, work))


@get("/api/v1/payments", policy=ANYONE)
async def payments(
    caller: Caller,
    db: Database,
    order_secret: str,
    order_id: UUID | None = None,
    payment_state: Annotated[States | None, Parameter(query="state")] = None,
    customer_id: UUID | None = None,
    since: datetime | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    order_token: OrderToken = None,
) -> Page[PaymentView]:
    """List payments, newest first: staff all of them, others that of an order of theirs."""
    access = Access(caller, order_token, order_secret)
    access.identify()
    if not caller.may(READ) and order_id is None:
        raise Validation.at("/order_id", "Name the order.")
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        items = await views.newest(
            tx,
            order_id=order_id,
            state=payment_state,
            customer_id=customer_id,
            since=moment("since", since),
            after=after,
            limit=limit + 1,
        )
    if not caller.may(READ):
        access.check(items[0] if items else None, READ)
        items = [msgspec.structs.replace(one, note=None) for one in items]
    more = len(items) > limit
    last = items[limit - 1] if more else None
    next_cursor = encode_cursor(last.created_at, last.id) if last else None
    return Page(items=items[:limit], next_cursor=next_cursor)


@get("/api/v1/payments/{payment_id:uuid}", policy=ANYONE)
async def payment(
    payment_id: UUID,
    caller: Caller,
    db: Database,
    order_secret: str,
    order_token: OrderToken = None,
) -> Response[PaymentView]:
    """Show a payment with all that was asked of the provider."""
    async with db.reading() as tx:
        items = await views.newest(tx, payment_id=payment_id)
    Access(caller, order_token, order_secret).check(items[0] if items else None, READ)
    [found] = items
    shown = found if caller.may(READ) else msgspec.structs.replace(found, note=None)
    return Response(shown, headers={"ETag": etag(found.version)})


@get("/api/v1/payments/by-order/{order_id:uuid}", policy=SERVICE)
async def state(order_id: UUID, db: Database) -> PaymentState:
    """Say where the payment of an order stands; 404 when the order was not heard of yet."""
    async with db.transaction(snapshot=True) as tx:
        payment = await store.read(tx, order_id)
    if payment is None:
        raise NotFound("There is no such payment.")
    last = payment.attempt
    return PaymentState(
        order_id=order_id,
        payment_id=payment.id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        method=payment.method,
        state=payment.state,
        attempt=last.attempt if last else 0,
        final=last is not None and last.reason in wishes.FINAL_REASONS,
        reason=last.reason if last else None,
    )


@patch("/api/v1/payments/{payment_id:uuid}", policy=staff(WRITE))
async def write_note(payment_id: UUID, data: Note, caller: Caller, db: Database) -> PaymentView:
    """Write the staff's note."""
    async with db.transaction() as tx:
        await store.write_note(tx, payment_id, data.note)
        note(tx, caller, "payments.note_written", f"payment:{payment_id}", after=data)
        for shown in await views.newest(tx, payment_id=payment_id):
            return shown
    raise NotFound("There is no such payment.")


@delete("/api/v1/payments/{payment_id:uuid}", policy=staff(WRITE))
async def forget(payment_id: UUID, caller: Caller, db: Database) -> None:
    """Delete a payment while nothing of it was ever authorised or asked for; else 409."""
    async with db.transaction() as tx:
        await actions.delete(tx, payment_id)
        note(tx, caller, "payments.payment_deleted", f"payment:{payment_id}")


@post(
    "/api/v1/payments/{payment_id:uuid}/captures", policy=staff(WRITE), status_code=202,
    answers=PaymentView,
)  # fmt: skip
async def capture(
    payment_id: UUID,
    data: Capture,
    caller: Caller,
    db: Database,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Take a card's promised money; on account: note that it has arrived, in parts if need be.

    202; 409 beyond the promise, and for a part of what a card owes: credit the order before.
    """

    async def work(tx: Tx) -> Answer:
        amount = data.amount_minor
        await actions.change(tx, payment_id, lambda p: wishes.capture(p, amount, new_id))
        note(tx, caller, "payments.capture_wanted", f"payment:{payment_id}", after=data)
        return await _accepted(tx, payment_id)

    key = parse_key(idempotency_key, required=True)
    scope = (caller.principal, f"POST /payments/{payment_id}/captures", key)
    return respond(await once(db, scope, data, work))


@post(
    "/api/v1/payments/{payment_id:uuid}/voids", policy=staff(WRITE), status_code=202,
    answers=PaymentView,
)  # fmt: skip
async def void(
    payment_id: UUID,
    caller: Caller,
    db: Database,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Give up an attempt that waits for its customer. 202, 409 for any other.

    What a confirmed order promised goes back when the order is cancelled or credited.
    """

    async def work(tx: Tx) -> Answer:
        await actions.change(tx, payment_id, lambda p: wishes.void_by_hand(p, new_id))
        note(tx, caller, "payments.void_wanted", f"payment:{payment_id}")
        return await _accepted(tx, payment_id)

    key = parse_key(idempotency_key, required=True)
    scope = (caller.principal, f"POST /payments/{payment_id}/voids", key)
    return respond(await once(db, scope, None, work))


async def _accepted(tx: Tx, payment_id: UUID) -> Answer:
    [shown] = await views.newest(tx, payment_id=payment_id)
    return answer(202, shown, location=f"/api/v1/payments/{payment_id}")


ROUTES = (pay, payments, payment, state, write_note, forget, capture, void)
