"""What payments can be asked to change. The caller opens and ends the transaction."""

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.inbox import NotYet
from merkato.chassis.outbox import say
from merkato.contracts.orders import LinesShipped, OrderCancelled, OrderCredited, OrderPlaced
from merkato.contracts.payments import CaptureFailed
from merkato.contracts.problem import NotFound, StateConflict
from merkato.payments.domain import wishes
from merkato.payments.domain.payment import Change, Credit, Method, Notice, Payment, Verdict
from merkato.payments.domain.verdicts import decide
from merkato.payments.store import payments as store
from merkato.payments.store import webhooks
from merkato.payments.store.claims import Claim, asked

log = structlog.get_logger()

ASK = "ask-provider"  # the job that asks
LOOK = "look-at-webhooks"  # the job that looks at what providers told us
METHODS: dict[str, Method] = {"on_account": "on_account", "card": "card"}


News = OrderPlaced | OrderCancelled | LinesShipped | OrderCredited


class Told(msgspec.Struct, frozen=True):
    """An event about an order, and its id."""

    id: UUID
    event: News


async def follow_orders(tx: Tx, told: Sequence[Told]) -> None:
    """Take down what is due and what is not any more, of many orders in order of telling.

    Whatever comes first, and however often, the outcome is the same: a cancelled order is not paid.
    Raises NotYet for what came after the sale of an order that was not heard of.
    """
    before = await store.lock(tx, list({one.event.order_id for one in told}))
    after = dict(before)
    for one in told:
        change = _told(after.get(one.event.order_id), one.event)
        after[one.event.order_id] = change.payment
        say(tx, *change.events, cause=one.id)
    await _save(tx, [(before.get(order_id), payment) for order_id, payment in after.items()])


def _told(payment: Payment | None, event: News) -> Change:
    match event:
        case OrderPlaced():
            return _placed(payment, event)
        case OrderCancelled():
            if payment is None:
                return wishes.cancel(_new(event, "card"), new_id)
            if payment.wanted != "pay":
                return Change(payment)
            return wishes.cancel(payment, new_id, event.credit_id)
        case LinesShipped() | OrderCredited() if payment is None:
            raise NotYet(f"order {event.order_id}")
        case LinesShipped():
            return wishes.collect(payment, new_id) if event.complete else Change(payment)
        case OrderCredited():
            credit = Credit(id=event.credit_id, amount_minor=event.amount_minor)
            done = wishes.credited(payment, credit, new_id)
            return done.then(lambda p: wishes.collect(p, new_id)) if event.complete else done


def _placed(payment: Payment | None, event: OrderPlaced) -> Change:
    method = METHODS[event.payment_method]
    if payment is None:
        payment = replace(_new(event, method), pay_until=event.pay_until)
        return wishes.start(payment, method, event.payment_token, new_id)
    if payment.pay_until is None:  # cancelled before it was heard to be placed
        return Change(replace(payment, method=method, pay_until=event.pay_until))
    return Change(payment)


def _new(event: OrderPlaced | OrderCancelled, method: Method) -> Payment:
    return Payment(
        id=new_id(),
        order_id=event.order_id,
        customer_id=event.customer_id,
        wanted="pay",
        method=method,
        amount_minor=event.totals.grand_minor,
        currency=event.currency,
        pay_until=None,
    )


async def _save(tx: Tx, changes: Sequence[tuple[Payment | None, Payment]]) -> None:
    await store.save(tx, changes)
    if any(o.ask_in_s == 0 for _, payment in changes for o in payment.operations):
        tx.wake(ASK)


async def change(
    tx: Tx, payment_id: UUID, rule: Callable[[Payment], Change]
) -> tuple[Payment, Payment]:
    """Apply a rule to a payment under its lock; give it before and after. Raises NotFound."""
    before = await store.lock_by_id(tx, payment_id)
    if before is None:
        raise NotFound("There is no such payment.")
    done = rule(before)
    await _save(tx, [(before, done.payment)])
    say(tx, *done.events)
    return before, done.payment


async def pay_again(tx: Tx, payment: Payment | None, method: Method, token: str | None) -> Payment:
    """Begin a new attempt after a decline. Raises NotFound, and StateConflict after `pay_until`."""
    if payment is None:
        raise NotFound("There is no such payment.")
    if not await store.is_before(tx, payment.pay_until):
        raise StateConflict("The time to pay this order is over.", state=payment.state)
    _, after = await change(tx, payment.id, lambda p: wishes.start(p, method, token, new_id))
    return after


async def take_words(tx: Tx, answered: Sequence[tuple[Claim, Verdict]], give_up_s: int) -> None:
    """Write down what a provider said of operations, and say what follows from it.

    What is undecided after `give_up_s` is not asked about any more: a person has to look. Only
    what the provider is at still is.
    """
    before = await store.lock(tx, list({claim.order_id for claim, _ in answered}))
    after = dict(before)
    for claim, verdict in answered:
        give_up, key = claim.age_s > give_up_s, claim.operation.key
        done = decide(after[claim.order_id], key, verdict, new_id, give_up=give_up)
        say(tx, *done.events)
        given_up = give_up and verdict.outcome != "pending"
        refused = any(isinstance(event, CaptureFailed) for event in done.events)
        differs = done.payment.state == "mismatch" != after[claim.order_id].state
        if given_up or refused or differs:
            log.error("a person has to look at a payment", key=key, state=done.payment.state)
        after[claim.order_id] = done.payment
    await _save(tx, [(before[order_id], payment) for order_id, payment in after.items()])
    keys = {claim.operation.key for claim, _ in answered}
    operations = [o for payment in after.values() for o in payment.operations if o.key in keys]
    await asked(tx, [o.key for o in operations if o.ask_in_s is None])


async def delete(tx: Tx, payment_id: UUID) -> None:
    """Delete a payment that nobody was ever asked to pay. Raises NotFound and StateConflict."""
    payment = await store.lock_by_id(tx, payment_id)
    if payment is None:
        raise NotFound("There is no such payment.")
    if any(o.state != "failed" for o in payment.operations):
        raise StateConflict("Something of this payment was authorised.", state=payment.state)
    await store.delete(tx, payment_id)


async def note_dispute(tx: Tx, notice: Notice) -> None:
    """Note that a charge of ours is disputed; how it ends is asked. Harmless to repeat.

    One over money that went back already is for a person. Raises NotFound and StateConflict for a
    charge that we do not know of yet: the processor tells again.
    """
    payment_id = await store.of_attempt(tx, notice.disputed or "")
    if payment_id is None:
        raise NotFound("There is no such payment.")
    amount, reference = notice.amount_minor, notice.reference or ""
    before, after = await change(
        tx, payment_id, lambda p: wishes.dispute(p, amount, reference, new_id)
    )
    if before.refundable_minor < amount and before != after:
        log.error("a person has to look at a dispute over money given back", dispute=reference)


async def keep_notice(tx: Tx, notice: Notice, provider: str, body: bytes) -> None:
    """Keep what a provider told us, once, and have it looked at."""
    await webhooks.keep(tx, notice, provider, body.decode())
    tx.wake(LOOK)
