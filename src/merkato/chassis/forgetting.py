"""Forget people: what a service said, could not hear and answered about them, and what it keeps.

Every service hears that a user, or the buyer of an order, is erased. It forgets at once, in the
transaction that hears it, and again twice by a job: now, with the answers kept for
Idempotency-Keys, and after AGAIN_S, when no request and no token of before can add anything.
Doing it once more is harmless.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.inbox import Heard, Hears
from merkato.contracts.event import Event
from merkato.contracts.orders import OrderErased
from merkato.contracts.users import UserErased

BELL = "forget"
AGAIN_S = 120  # access tokens of an erased user are refused everywhere after 60 s
SUBJECTS_MAX = 20  # forgotten per turn of the job
PAGE = 1_000  # answers looked through per statement
AN_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # as PostgreSQL, and JSON of ours, write it

# A service's own part: forget users and the buyers of orders, and give the ids (orders, carts, …)
# of what it keeps of them: keys of its events, and names by which others' answers speak of it.
Forgets: TypeAlias = Callable[[Tx, Sequence[UUID], Sequence[UUID]], Awaitable[Sequence[UUID]]]
Kinds: TypeAlias = Sequence[type[Event]]


async def nothing(_: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> Sequence[UUID]:
    """Forget nothing: for a service that keeps nothing about people."""
    return ()


def hears(forgets: Forgets, says: Kinds, known: Kinds) -> Hears:
    """Make the table of what is heard about erasures; `known` are all events the service hears."""

    async def on_erased(tx: Tx, heard: Sequence[Heard[Any]]) -> None:
        users = sorted({e.event.user_id for e in heard if isinstance(e.event, UserErased)})
        orders = sorted({e.event.order_id for e in heard if isinstance(e.event, OrderErased)})
        await note(tx, users, orders)
        names = await forget(tx, forgets, says, known, users, orders)
        await tx.execute(REMEMBER, [*users, *orders], names)

    return {UserErased: on_erased, OrderErased: on_erased}


async def forget(
    tx: Tx,
    forgets: Forgets,
    says: Kinds,
    known: Kinds,
    users: Sequence[UUID],
    orders: Sequence[UUID],
) -> list[str]:
    """Forget people in one transaction, but for answers. Gives all ids that speak of them."""
    names = sorted(map(str, {*users, *orders, *await forgets(tx, users, orders)}))
    await tx.execute(
        FORGET_OWN_ANSWERS, [f"{who}:{id}" for who in ("user", "cart") for id in names]
    )
    blanks = {kind.type: blank(kind) for kind in says}
    await tx.execute(BLANK_SAID, names, list(blanks), list(blanks.values()))
    for row in await tx.fetch(SET_ASIDE, names, AN_ID):
        kinds = {kind.type: kind for kind in known}
        message = _without_hidden(row["message"], kinds.get(row["type"]))
        await tx.execute(BLANK_SET_ASIDE, row["event_id"], message)
    return names


async def forget_due(db: Database, forgets: Forgets, says: Kinds, known: Kinds) -> int:
    """Forget those whose turn it is, answers included. Gives how many.

    Whose turn fails has another after AGAIN_S, so that nobody waits behind them; then it raises.
    """

    async def turn(rows: Sequence[Row]) -> None:
        users = [row["subject"] for row in rows if row["kind"] == "user"]
        orders = [row["subject"] for row in rows if row["kind"] == "order"]
        async with db.transaction() as tx:
            names = await forget(tx, forgets, says, known, users, orders)
        before = {name for row in rows for name in row["names"]}
        await _forget_answers(db, sorted(before.union(names)))
        async with db.transaction() as tx:
            await tx.execute(DONE, users + orders, AGAIN_S)

    async with db.reading() as tx:
        rows = await tx.fetch(DUE, SUBJECTS_MAX)
    if not rows:
        return 0
    try:
        await turn(rows)
    except Exception:
        errors = []
        for row in rows:
            try:
                await turn([row])
            except Exception as error:
                errors.append(error)
                async with db.transaction() as tx:
                    await tx.execute(LATER, row["subject"], AGAIN_S)
        if errors:
            raise ExceptionGroup("some could not be forgotten", errors) from None
    return len(rows)


async def _forget_answers(db: Database, names: Sequence[str]) -> None:
    """Look through all answers, a page per statement: they are kept 24 h and have no index."""
    after = None
    while True:
        async with db.transaction() as tx:
            upto = await tx.fetchval(ANSWERS_PAGE, after, PAGE)
            if upto is None:
                return
            await tx.execute(FORGET_ANSWERS, after, upto, names, AN_ID)
        after = upto


@lru_cache
def blank(kind: type[Event]) -> str | None:
    """Give the hidden fields of an event as they are after forgetting; it can still be read."""
    hidden = kind.hidden_fields()
    fields = {field.name: field for field in msgspec.structs.fields(kind) if field.name in hidden}
    values = {name: "" if one.required else one.default for name, one in fields.items()}
    return msgspec.json.encode(values).decode() if values else None


def _without_hidden(message: str, kind: type[Event] | None) -> str:
    """Blank the hidden fields of a message; all of it when it cannot be read."""
    try:
        envelope: dict[str, Any] = msgspec.json.decode(message)
        if kind is not None:
            envelope["data"] |= msgspec.json.decode(blank(kind) or "{}")
            return msgspec.json.encode(envelope).decode()
    except (msgspec.DecodeError, KeyError, TypeError):
        pass
    return ""


async def note(tx: Tx, users: Sequence[UUID], orders: Sequence[UUID]) -> None:
    """Have this service forget people once `tx` commits, whether the bus works or not."""
    tx.wake(BELL)
    kinds = ["user"] * len(users) + ["order"] * len(orders)
    await tx.execute(NOTE, [*users, *orders], kinds)


NOTE = """
insert into forgotten (subject, kind) select * from unnest($1::uuid[], $2::text[])
    on conflict (subject) do update set rounds = 0, next_at = clock_timestamp()
"""
# What is found at first is looked for later too, when nothing leads to it any more.
REMEMBER = """
update forgotten set names = array(select distinct unnest(names || $2::text[]))
 where subject = any($1)
"""
DUE = """
select subject, kind, names from forgotten where next_at <= clock_timestamp()
 order by next_at limit $1
"""
DONE = """
update forgotten
   set rounds = rounds + 1,
       next_at = case rounds when 0 then clock_timestamp() + make_interval(secs => $2) end,
       names = case rounds when 0 then names else '{}' end
 where subject = any($1)
"""
LATER = """
update forgotten set next_at = clock_timestamp() + make_interval(secs => $2) where subject = $1
"""
BLANK_SAID = """
update outbox o set hidden = b.hidden
  from unnest($2::text[], $3::text[]) b(type, hidden)
 where o.key = any($1) and o.type = b.type and o.hidden is not null
   and o.hidden is distinct from b.hidden
   and (o.published_at is not null or o.said_at < clock_timestamp() - interval '1 minute')
"""
# The ids in a text are compared as a set: the work grows with the text, not with the names too.
SET_ASIDE = """
select event_id, type, message from set_aside
 where (select bool_or(found[1] in (select unnest($1::text[])))
          from regexp_matches(message, $2, 'g') found)
   for no key update
"""
# The reason is what an exception said; its kind is enough to go on.
BLANK_SET_ASIDE = """
update set_aside set message = $2, reason = split_part(reason, '(', 1) where event_id = $1
"""
FORGET_OWN_ANSWERS = "delete from answers where principal = any($1)"
ANSWERS_PAGE = """
select max(answered_at)
  from (select answered_at from answers where $1::timestamptz is null or answered_at > $1
         order by answered_at limit $2) page
"""
FORGET_ANSWERS = """
delete from answers
 where ($1::timestamptz is null or answered_at > $1) and answered_at <= $2
   and (select bool_or(found[1] in (select unnest($3::text[])))
          from regexp_matches(encode(body, 'escape'), $4, 'g') found)
"""
