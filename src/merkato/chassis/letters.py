"""Events set aside, as the broker may ask for them: list, look inside, retry, edit, discard.

Beside them are those that the service says and the bus refused: they hold up their keys as well.
Only services may ask, and no prefix of the gateway leads here. Personal and secret values never
leave the service: they are not shown, not in reasons, and cannot be edited.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import Parameter

from merkato.chassis import idempotency, outbox, trail
from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.http import SERVICE, Routes
from merkato.chassis.telemetry import LETTERS
from merkato.chassis.tokens import Caller
from merkato.contracts.event import Event, hidden_fields
from merkato.contracts.letters import (
    Act,
    Acted,
    Action,
    Actor,
    Contents,
    Edit,
    Edited,
    Filter,
    Letter,
    Letters,
    State,
)
from merkato.contracts.problem import KeyReused, NotFound, StateConflict, Validation

PATH = "/set-aside"
OPEN = ("waiting", "dead")
BULK_MAX = 10_000  # letters per request
TELLING_CHARS = 3  # a shorter value is in every text


class Kinds:
    """The events a service hears and says, by type, and its name."""

    def __init__(self, service: str, kinds: Mapping[str, type[Event]]) -> None:
        self.service, self.kinds = service, kinds


LIST = """
select event_id, type, key, state, reason, tries, set_aside_at, next_try_at, ended_at, acted_by,
       cause, replaced_by, died_at, said, message
  from letters
 where state = any($1) and ($2::text is null or type = $2) and ($3::text is null or key = $3)
   and ($4::timestamptz is null or (set_aside_at, event_id) < ($4, $5))
   and ($7::timestamptz is null or died_at > $7)
 order by set_aside_at desc, event_id desc limit $6
"""
NOW = "select clock_timestamp()"


@get(PATH, policy=SERVICE)
async def list_letters(
    db: Database,
    kinds: Kinds,
    letter_state: Annotated[State | None, Parameter(query="state")] = None,
    event_type: Annotated[str | None, Parameter(query="type", max_length=200)] = None,
    key: Annotated[str | None, Parameter(max_length=300)] = None,
    before: datetime | None = None,
    before_id: UUID | None = None,
    died_after: datetime | None = None,
    limit: Annotated[int, Parameter(ge=1, le=101)] = 20,
) -> Letters:
    """List letters, newest first, from before a place in the list; the open ones by default."""
    states = [letter_state] if letter_state else [*OPEN]
    place = (before, before_id, limit, died_after)
    async with db.reading() as tx:
        at = await tx.fetchval(NOW)
        rows = await tx.fetch(LIST, states, event_type, key, *place)
    return Letters(items=[_letter(row, kinds) for row in rows], at=at)


FIND = """
select event_id, type, key, state, reason, tries, set_aside_at, next_try_at, ended_at, acted_by,
       cause, replaced_by, died_at, said, message, place
  from letters where event_id = $1
"""
BEHIND = """
select count(*) from set_aside
 where key = $1 and state in ('waiting', 'dead') and place > $2
"""
BEHIND_SAID = "select count(*) from outbox where key = $1 and published_at is null and seq > $2"


@get(f"{PATH}/{{id:uuid}}", policy=SERVICE)
async def open_letter(id: UUID, db: Database, kinds: Kinds) -> Contents:
    """Look inside a letter."""
    async with db.reading() as tx:
        row = await _found(tx, id)
        counted = BEHIND_SAID if row["said"] else BEHIND
        behind = await tx.fetchval(counted, row["key"], row["place"])
    envelope, data, hidden = _read(row, kinds)
    return Contents(
        letter=_letter(row, kinds),
        source=envelope.get("source"),
        time=envelope.get("time"),
        data=None if data is None else _shown(data, hidden),
        hidden=sorted(hidden),
        behind=behind,
    )


async def _found(tx: Tx, id: UUID) -> Row:
    row = await tx.fetchrow(FIND, id)
    if row is None:
        raise NotFound("There is no such letter.")
    return row


def _letter(row: Row, kinds: Kinds) -> Letter:
    known: dict[str, Any] = {name: row[name] for name in Letter.__struct_fields__}
    _, data, hidden = _read(row, kinds)
    if data is None:  # what cannot be read may stand in the reason as well
        known["reason"] = known["reason"].partition("(")[0]
    else:
        for value in _texts({name: data[name] for name in hidden & data.keys()}):
            known["reason"] = known["reason"].replace(value, trail.HIDDEN)
    return Letter(**known)


def _read(row: Row, kinds: Kinds) -> tuple[dict[str, Any], dict[str, Any] | None, frozenset[str]]:
    """Take a letter apart: envelope, data or None, names of the hidden fields."""
    kind = kinds.kinds.get(row["type"])
    try:
        envelope = msgspec.json.decode(row["message"], type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}, None, frozenset()
    if row["said"]:
        source = f"/merkato/{kinds.service}"
        envelope = {"source": source, "time": row["set_aside_at"], "data": envelope}
    data = envelope.get("data")
    if kind is None or not isinstance(data, dict):
        return {}, None, frozenset()
    return envelope, data, hidden_fields(kind) | (trail.HIDDEN_NAMES & data.keys())


def _shown(data: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    plain = {name: value for name, value in data.items() if name not in hidden}
    shown: dict[str, Any] = trail.without_secrets(plain, trail.HIDDEN_NAMES)
    return shown


def _texts(value: Any) -> list[str]:
    match value:
        case dict():
            return [text for one in value.values() for text in _texts(one)]
        case list():
            return [text for one in value for text in _texts(one)]
        case str() if len(value) >= TELLING_CHARS:
            return [value]
    return []


CHOSEN = """
select event_id from set_aside
 where state = any($1) and ($2::uuid[] is null or event_id = any($2))
   and ($3::text is null or type = $3) and ($4::text is null or key = $4)
 order by key, place limit $5 for update skip locked
"""
CHOSEN_SAID = """
select id as event_id from outbox
 where refusal is not null and published_at is null
   and case when refused_at is null then 'waiting' else 'dead' end = any($1)
   and ($2::uuid[] is null or id = any($2))
   and ($3::text is null or type = $3) and ($4::text is null or key = $4)
 order by seq limit $5 for update skip locked
"""
RETRY = """
update set_aside set state = 'waiting', tries = 0, next_try_at = clock_timestamp(), acted_by = $2
 where event_id = any($1)
"""
RETRY_SAID = """
update outbox set refused_at = null, acted_by = $2 where id = any($1) and refusal is not null
"""
DISCARD = """
update set_aside set state = 'discarded', ended_at = clock_timestamp(), acted_by = $2
 where event_id = any($1)
"""
DISCARD_SAID = """
update outbox set published_at = clock_timestamp(), acted_by = $2,
       refused_at = coalesce(refused_at, clock_timestamp())
 where id = any($1) and refusal is not null
"""
BELL = "set-aside"


async def decide(tx: Tx, action: Action, wanted: Filter, who: str) -> list[UUID]:
    """Retry or discard open letters, BULK_MAX at most; gives their ids. A repeat is harmless."""
    states = [state for state in OPEN if wanted.state in (None, state)]
    filters = (states, wanted.ids, wanted.type, wanted.key, BULK_MAX)
    heard = [row["event_id"] for row in await tx.fetch(CHOSEN, *filters)]
    said = [row["event_id"] for row in await tx.fetch(CHOSEN_SAID, *filters)]
    await tx.execute(RETRY if action == "retry" else DISCARD, heard, who)
    if said:
        await tx.execute(RETRY_SAID if action == "retry" else DISCARD_SAID, said, who)
    tx.wake(BELL)
    tx.wake(outbox.BELL)
    return heard + said


@post(f"{PATH}/actions", policy=SERVICE, status_code=200)
async def act(data: Act, db: Database, kinds: Kinds) -> Acted:
    """Retry or discard open letters. Followers of their keys go on in order; a repeat is harmless.

    Who did it is in the audit trail, in the same transaction.
    """
    caller = _caller(data.actor)
    async with db.transaction() as tx:
        ids = await decide(tx, data.action, data.filter, caller.principal)
        verb = "retried" if data.action == "retry" else "discarded"
        if ids:
            action, subject = f"{kinds.service}.dead_letters_{verb}", f"dead-letter:{ids[0]}"
            trail.note(tx, caller, action, subject, after={"ids": ids[:100], "count": len(ids)})
    return Acted(count=len(ids))


LOCK = """
select event_id, type, key, state, message, stream_seq, place, replaced_by, edit_print,
       false as said
  from set_aside where event_id = $1 for update
"""
REPLACE = """
update set_aside
   set state = 'discarded', ended_at = clock_timestamp(), acted_by = $2, replaced_by = $3,
       edit_print = $4
 where event_id = $1
"""
PUT = """
with heard as (insert into inbox (event_id) values ($1) on conflict do nothing)
insert into set_aside (event_id, type, key, stream_seq, message, reason, next_try_at, state,
                       acted_by, cause, place)
values ($1, $2, $3, $4, $5, 'edited', clock_timestamp(), 'waiting', $6, $7, $8)
"""


@post(f"{PATH}/{{id:uuid}}/edited", policy=SERVICE)
async def edit(id: UUID, data: Edit, db: Database, kinds: Kinds) -> Edited:
    """Put a new event in the place of an open letter: its data patched, the letter its cause.

    It takes the letter's place among the events of its key. Raises NotFound, StateConflict,
    KeyReused for another patch with the id of the new event, and Validation for data the service
    could not read, another key, or a hidden field.
    """
    caller, event_id = _caller(data.actor), data.event_id
    print_ = idempotency.fingerprint(data.patch)
    async with db.transaction() as tx:
        row = await tx.fetchrow(LOCK, id)
        if row is None:
            await _found(tx, id)
            raise StateConflict("The bus refused this event; it is tried again or given up.")
        if row["replaced_by"] == event_id:
            if row["edit_print"] not in (None, print_):
                raise KeyReused("This key belongs to another request; use a new key.")
            return Edited(event_id=event_id)
        if row["state"] not in OPEN:
            raise StateConflict("This letter is no longer open.")
        message = _edited(row, data.patch, kinds, event_id)
        await tx.execute(REPLACE, id, caller.principal, event_id, print_)
        await _put(tx, row, event_id, message, caller)
        action = f"{kinds.service}.dead_letter_edited"
        after = {"event_id": event_id, "fields": sorted(data.patch)}
        trail.note(tx, caller, action, f"dead-letter:{id}", after=after)
        tx.wake(BELL)
    return Edited(event_id=event_id)


async def _put(tx: Tx, row: Row, event_id: UUID, message: bytes, caller: Caller) -> None:
    await tx.execute(
        PUT, event_id, row["type"], row["key"], row["stream_seq"], message.decode(),
        caller.principal, row["event_id"], row["place"],
    )  # fmt: skip


def _edited(row: Row, patch: Mapping[str, Any], kinds: Kinds, event_id: UUID) -> bytes:
    envelope, data, hidden = _read(row, kinds)
    if data is None:
        raise StateConflict("This letter cannot be read, so it cannot be edited.")
    if touched := sorted(hidden & patch.keys()):
        raise Validation.at(f"/data/{touched[0]}", "A hidden field cannot be edited.")
    changed = _merged(data, patch)
    kind = kinds.kinds[row["type"]]
    try:
        event = msgspec.json.decode(msgspec.json.encode(changed), type=kind)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at `$")
        pointer = "/data" + place.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise Validation.at(pointer, detail) from error
    if event.key != envelope.get("subject"):
        raise Validation.at("/data", "The event would be about something else.")
    now = {"id": event_id, "causationid": row["event_id"], "data": changed}
    return msgspec.json.encode(envelope | now)


def _merged(before: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7396): null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(before) if isinstance(before, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


def _caller(actor: Actor) -> Caller:
    """Whoever asked the broker, as the trail names them."""
    user_id = actor.id if actor.kind == "user" else None
    key_id = actor.id if actor.kind == "key" else None
    return Caller(kind=actor.kind, user_id=user_id, key_id=key_id, role=actor.role)


OLDEST = """
select event_id, type, key, state, reason, tries, set_aside_at from letters
 where state in ('waiting', 'dead') order by set_aside_at limit $1
"""


async def oldest(tx: Tx, most: int) -> list[Row]:
    """List open letters, oldest first, without their contents."""
    return await tx.fetch(OLDEST, most)


COUNT = """
select s.state, (select count(*) from letters l where l.state = s.state)
  from unnest(array['waiting', 'dead']) s(state)
"""


async def measure(db: Database, service: str) -> int:
    """Show in the metrics how many letters wait, and how many are dead."""
    async with db.reading() as tx:
        for row in await tx.fetch(COUNT):
            LETTERS.labels(service, row["state"]).set(row["count"])
    return 0


ROUTES: Routes = [list_letters, open_letter, act, edit]
