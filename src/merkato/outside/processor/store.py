"""Every SQL statement of the processor, one function each."""

from typing import Any

import msgspec

from merkato.outside.database import Database
from merkato.outside.processor.domain import Dispute, Intent, Refund

_intent = msgspec.json.Decoder(Intent)
_refund = msgspec.json.Decoder(Refund)
_encode = msgspec.json.Encoder().encode


class Movement(msgspec.Struct, kw_only=True):
    """Money that moved: amount in minor units, created in Unix seconds."""

    seq: int = 0
    kind: str
    reference: str
    payment_intent: str
    charge: str
    amount: int
    currency: str
    metadata: dict[str, str]
    created: int


class Delivery(msgspec.Struct, kw_only=True):
    """A webhook that is owed, was delivered or was given up. `due_at` in Unix seconds."""

    seq: int
    event: str
    type: str
    state: str
    due_at: float
    tries: int
    status: int | None
    error: str | None


INSERT_INTENT = "insert into intents (id, body) values (?, ?)"


def insert_intent(db: Database, intent: Intent) -> None:
    """Keep a new intent."""
    db.run(INSERT_INTENT, (intent.id, _encode(intent)))


INSERT_LABELS = "insert or ignore into labels (name, value, intent) values (?, ?, ?)"


def insert_labels(db: Database, intent: Intent) -> None:
    """Make an intent findable by its metadata."""
    db.run_many(
        INSERT_LABELS, [(name, value, intent.id) for name, value in intent.metadata.items()]
    )


UPDATE_INTENT = "update intents set body = ? where id = ?"


def update_intent(db: Database, intent: Intent) -> None:
    """Keep an intent as it is now."""
    db.run(UPDATE_INTENT, (_encode(intent), intent.id))


INTENT = "select body from intents where id = ?"


def intent(db: Database, id: str) -> Intent | None:
    """Give an intent; None when there never was one."""
    row = db.ask(INTENT, (id,)).fetchone()
    return _intent.decode(row[0]) if row else None


INTENTS = """
select body from intents
where seq < coalesce((select seq from intents where id = ?), 9223372036854775807)
order by seq desc limit ?
"""


def intents(db: Database, after: str | None, limit: int) -> list[Intent]:
    """Give intents older than `after`, newest first."""
    return [_intent.decode(body) for (body,) in db.ask(INTENTS, (after, limit))]


LABELLED = """
select i.body from labels l join intents i on i.id = l.intent
where l.name = ? and l.value = ? order by i.seq desc limit 1000
"""


def labelled(db: Database, name: str, value: str) -> list[Intent]:
    """Give the intents with that metadata, newest first, at most 1,000."""
    return [_intent.decode(body) for (body,) in db.ask(LABELLED, (name, value))]


INSERT_REFUND = """
insert into refunds (id, intent, body, settle_at, settle_as) values (?, ?, ?, ?, ?)
"""


def insert_refund(
    db: Database, refund: Refund, settle_at: float | None, settle_as: str | None
) -> None:
    """Keep a new refund, and what becomes of it by itself when."""
    db.run(INSERT_REFUND, (refund.id, refund.payment_intent, _encode(refund), settle_at, settle_as))


SETTLE_REFUND = "update refunds set body = ?, settle_at = null, settle_as = null where id = ?"


def settle_refund(db: Database, refund: Refund) -> None:
    """Keep a refund as it will stay."""
    db.run(SETTLE_REFUND, (_encode(refund), refund.id))


UNSETTLED = "select body, settle_as from refunds where settle_at <= ? order by seq limit 100"


def unsettled(db: Database, now: float) -> list[tuple[Refund, str]]:
    """Give refunds whose time has come, with what they become."""
    return [(_refund.decode(body), become) for body, become in db.ask(UNSETTLED, (now,))]


REFUND = "select body from refunds where id = ?"


def refund(db: Database, id: str) -> Refund | None:
    """Give a refund; None when there never was one."""
    row = db.ask(REFUND, (id,)).fetchone()
    return _refund.decode(row[0]) if row else None


REFUNDS = """
select body from refunds
where (?1 is null or intent = ?1)
  and seq < coalesce((select seq from refunds where id = ?2), 9223372036854775807)
order by seq desc limit ?3
"""


def refunds(db: Database, intent: str | None, after: str | None, limit: int) -> list[Refund]:
    """Give refunds (of one intent) older than `after`, newest first."""
    return [_refund.decode(body) for (body,) in db.ask(REFUNDS, (intent, after, limit))]


REFUNDED = """
select coalesce(sum(json_extract(body, '$.amount')), 0) from refunds
where intent = ? and json_extract(body, '$.status') <> 'failed'
"""


def refunded(db: Database, intent: str) -> int:
    """Give what went back of an intent or is on its way, in minor units."""
    return int(db.ask(REFUNDED, (intent,)).fetchone()[0])


PUT_DISPUTE = "insert or replace into disputes (id, intent, body) values (?, ?, ?)"


def put_dispute(db: Database, dispute: Dispute) -> None:
    """Keep a dispute as it is now."""
    db.run(PUT_DISPUTE, (dispute.id, dispute.payment_intent, _encode(dispute)))


DISPUTES = "select body from disputes where id = ?1 or intent = ?1 order by id"


def disputes(db: Database, of: str) -> list[Dispute]:
    """Give the dispute of that id, or those of an intent."""
    rows = db.ask(DISPUTES, (of,))
    return [msgspec.json.decode(row[0], type=Dispute) for row in rows]


INSERT_MOVEMENT = """
insert into movements (kind, reference, intent, charge, amount, currency, metadata, created)
values (?, ?, ?, ?, ?, ?, ?, ?)
"""


def insert_movement(db: Database, movement: Movement) -> None:
    """Enter money that moved in the ledger."""
    db.run(
        INSERT_MOVEMENT,
        (
            movement.kind,
            movement.reference,
            movement.payment_intent,
            movement.charge,
            movement.amount,
            movement.currency,
            _encode(movement.metadata),
            movement.created,
        ),
    )


DELETE_MOVEMENT = "delete from movements where reference = ?"


def delete_movement(db: Database, reference: str) -> None:
    """Take a movement out of the ledger that came back: a failed refund."""
    db.run(DELETE_MOVEMENT, (reference,))


MOVEMENTS = """
select seq, kind, reference, intent, charge, amount, currency, metadata, created
from movements where seq > ? order by seq limit ?
"""


def movements(db: Database, after: int, limit: int) -> list[Movement]:
    """Give the ledger's rows after the one numbered `after`, oldest first."""
    return [
        Movement(
            seq=row[0],
            kind=row[1],
            reference=row[2],
            payment_intent=row[3],
            charge=row[4],
            amount=row[5],
            currency=row[6],
            metadata=msgspec.json.decode(row[7], type=dict[str, str]),
            created=row[8],
        )
        for row in db.ask(MOVEMENTS, (after, limit))
    ]


INSERT_ANSWER = """
insert or replace into answers (key, fingerprint, status, body, kept_at) values (?, ?, ?, ?, ?)
"""


def insert_answer(
    db: Database, key: str, fingerprint: bytes, status: int, body: bytes, now: int
) -> None:
    """Keep the answer given under an Idempotency-Key."""
    db.run(INSERT_ANSWER, (key, fingerprint, status, body, now))


ANSWER = "select fingerprint, status, body from answers where key = ? and kept_at > ?"


def answer(db: Database, key: str, since: int) -> tuple[bytes, int, bytes] | None:
    """Give the fingerprint, status and body kept under a key; None if none was kept since."""
    row: tuple[bytes, int, bytes] | None = db.ask(ANSWER, (key, since)).fetchone()
    return row


DELETE_ANSWERS = "delete from answers where kept_at <= ?"


def delete_answers(db: Database, until: int) -> None:
    """Forget answers kept until then."""
    db.run(DELETE_ANSWERS, (until,))


USE_CARD = "insert or ignore into used (name) values (?)"


def use_card(db: Database, name: str) -> bool:
    """Note that a card was used; True the first time."""
    return db.run(USE_CARD, (name,)).rowcount == 1


INSERT_EVENT = "insert into events (id, type, body, created) values (?, ?, ?, ?)"


def insert_event(db: Database, id: str, type: str, body: bytes, now: int) -> None:
    """Keep an event."""
    db.run(INSERT_EVENT, (id, type, body, now))


DELETE_EVENTS = "delete from events where created <= ?"


def delete_events(db: Database, until: int) -> None:
    """Forget events made until then."""
    db.run(DELETE_EVENTS, (until,))


EVENT = "select body from events where id = ?"


def event(db: Database, id: str) -> bytes | None:
    """Give an event's JSON; None when there never was one."""
    row = db.ask(EVENT, (id,)).fetchone()
    return bytes(row[0]) if row else None


EVENTS = """
select body from events
where (?1 is null or type = ?1)
  and seq < coalesce((select seq from events where id = ?2), 9223372036854775807)
order by seq desc limit ?3
"""


def events(db: Database, type: str | None, after: str | None, limit: int) -> list[msgspec.Raw]:
    """Give events (of one type) older than `after`, newest first, as JSON."""
    return [msgspec.Raw(body) for (body,) in db.ask(EVENTS, (type, after, limit))]


INSERT_WEBHOOK = "insert into webhooks (event, type, due_at) values (?, ?, ?)"


def insert_webhook(db: Database, event: str, type: str, due_at: float) -> int:
    """Owe a delivery; gives its number."""
    return db.run(INSERT_WEBHOOK, (event, type, due_at)).lastrowid or 0


UPDATE_WEBHOOK = """
update webhooks set state = ?, due_at = ?, tries = ?, status = ?, error = ? where seq = ?
"""


def update_webhook(db: Database, delivery: Delivery) -> None:
    """Keep what became of a delivery."""
    db.run(
        UPDATE_WEBHOOK,
        (
            delivery.state,
            delivery.due_at,
            delivery.tries,
            delivery.status,
            delivery.error,
            delivery.seq,
        ),
    )


WEBHOOK = "select seq, event, type, state, due_at, tries, status, error from webhooks where seq = ?"


def webhook(db: Database, seq: int) -> Delivery | None:
    """Give a delivery."""
    row = db.ask(WEBHOOK, (seq,)).fetchone()
    return _delivery(row) if row else None


WEBHOOKS = """
select seq, event, type, state, due_at, tries, status, error
from webhooks where (?1 is null or state = ?1) order by seq desc limit ?2
"""


def webhooks(db: Database, state: str | None, limit: int) -> list[Delivery]:
    """Give deliveries (in one state), newest first."""
    return [_delivery(row) for row in db.ask(WEBHOOKS, (state, limit))]


DELETE_WEBHOOKS = "delete from webhooks where due_at <= ?"


def delete_webhooks(db: Database, until: int) -> None:
    """Forget deliveries that were due until then."""
    db.run(DELETE_WEBHOOKS, (until,))


OWED = "select due_at, seq from webhooks where state = 'owed' order by due_at, seq"


def owed(db: Database) -> list[tuple[float, int]]:
    """Give when each delivery that is owed is due, and its number."""
    return db.ask(OWED).fetchall()


FORGET = (
    "delete from intents",
    "delete from labels",
    "delete from refunds",
    "delete from disputes",
    "delete from movements",
    "delete from answers",
    "delete from used",
    "delete from events",
    "delete from webhooks",
)


def forget(db: Database) -> None:
    """Empty every table."""
    for statement in FORGET:
        db.run(statement)


def _delivery(row: tuple[Any, ...]) -> Delivery:
    names = ("seq", "event", "type", "state", "due_at", "tries", "status", "error")
    return Delivery(**dict(zip(names, row, strict=True)))
