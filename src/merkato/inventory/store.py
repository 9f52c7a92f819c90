"""Every statement of inventory. The caller owns the transaction.

Locks are taken in one order: stock by sku, then reservations by order.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from merkato.chassis.db import Row, Tx

RESERVE = """
select * from reserve($1::uuid[], $2::bytea[], $3::text[], $4::int[], $5::text[], $6::int[],
                      $7::interval[], $8)
"""


async def reserve(
    tx: Tx, orders: Sequence[tuple[UUID, bytes, str, timedelta]],
    lines: Sequence[tuple[int, str, int]], holds_max: int,
) -> list[Row]:  # fmt: skip
    """Decide reservations in order of arrival: (id, body, principal, ttl), (order's n, sku, q)."""
    return await tx.fetch(
        RESERVE,
        [order[0] for order in orders],
        [order[1] for order in orders],
        [order[2] for order in orders],
        [line[0] for line in lines],
        [line[1] for line in lines],
        [line[2] for line in lines],
        [order[3] for order in orders],
        holds_max,
    )


LOCK_STOCK = """
select sku, on_hand, reserved from stock where location = 'main' and sku = any($1)
 order by sku for no key update
"""


async def lock_stock(tx: Tx, skus: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Map sku to (on_hand, reserved), locked in sku order."""
    rows = await tx.fetch(LOCK_STOCK, sorted(set(skus)))
    return {row["sku"]: (row["on_hand"], row["reserved"]) for row in rows}


LOCK_HOLDS = """
select order_id, state from reservations where order_id = any($1) order by order_id for update
"""


async def lock_holds(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Map order to its reservation, locked; the stock they touch is locked before."""
    rows = await tx.fetch(LOCK_HOLDS, sorted(set(order_ids)))
    return {row["order_id"]: row for row in rows}


STATES = "select order_id, state from reservations where order_id = any($1)"


async def states(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Map orders to the state of their hold, as it is just now."""
    return {row["order_id"]: row["state"] for row in await tx.fetch(STATES, list(order_ids))}


SETTLE = """
select settle($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::int[], $7::int[],
              $8::text[], $9::int[], $10::text[], $11::uuid[], $12::uuid[])
"""


async def settle(
    tx: Tx,
    holds: Sequence[tuple[UUID, bytes, str, str]],
    moves: Sequence[tuple[str, int, int]],
    journal: Sequence[tuple[str, int, str, UUID, UUID | None]],
) -> None:
    """Write holds (order, body, before, after), stock (sku, on_hand, reserved) and journal.

    The journal: sku, delta, kind, order, source.

    Locks by sku, then by order. Fails, to be tried again, when a hold is not as `before` says.
    """
    await tx.execute(SETTLE, *_columns(holds, 4), *_columns(moves, 3), *_columns(journal, 5))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(width)]


ADD_LINES = """
insert into reservation_lines (order_id, sku, quantity)
select * from unnest($1::uuid[], $2::text[], $3::int[]) on conflict do nothing
"""


async def add_lines(tx: Tx, lines: Sequence[tuple[UUID, str, int]]) -> None:
    """Write the lines of holds that had no row."""
    await tx.execute(ADD_LINES, *(list(column) for column in zip(*lines, strict=True)))


MOVE_STOCK = """
update stock s set on_hand = s.on_hand + m.on_hand, reserved = s.reserved + m.reserved
  from unnest($1::text[], $2::int[], $3::int[]) m(sku, on_hand, reserved)
 where s.location = 'main' and s.sku = m.sku
"""


async def move_stock(tx: Tx, moves: Mapping[str, tuple[int, int]]) -> None:
    """Add (on_hand, reserved) to each sku; its row is locked already."""
    skus = sorted(moves)
    await tx.execute(MOVE_STOCK, skus, [moves[s][0] for s in skus], [moves[s][1] for s in skus])


JOURNAL = """
insert into journal (sku, delta, kind, reason, order_id, actor, location)
select *, 'main' from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::uuid[], $6::text[])
"""


async def write_journal(
    tx: Tx, entries: Sequence[tuple[str, int, str, str | None, UUID | None, str]]
) -> None:
    """Note changes of on_hand: sku, delta, kind, reason, order, actor."""
    await tx.execute(JOURNAL, *(list(column) for column in zip(*entries, strict=True)))


HOLD = """
select r.order_id, r.state, r.kept, array_agg(l.sku order by l.sku) as skus,
       array_agg(l.quantity order by l.sku) as quantities
  from reservations r left join reservation_lines l using (order_id)
 where order_id = $1 group by r.order_id
"""


async def hold(tx: Tx, order_id: UUID) -> Row | None:
    """Read one reservation with its lines; they never change, so no lock is needed for them."""
    return await tx.fetchrow(HOLD, order_id)


END_HOLDS = """
update reservations set state = 'expired', changed_at = clock_timestamp()
 where order_id = any($1) and state = 'held' and not kept
   and (not $2 or expires_at < clock_timestamp()) returning order_id
"""


async def end_holds(tx: Tx, order_ids: Sequence[UUID], *, overdue: bool) -> list[UUID]:
    """End provisional holds, with `overdue` those alone; give which. All is locked before."""
    return [row["order_id"] for row in await tx.fetch(END_HOLDS, list(order_ids), overdue)]


LINES = """
select order_id, sku, quantity from reservation_lines where order_id = any($1) order by sku
"""


async def lines(tx: Tx, order_ids: Sequence[UUID]) -> list[Row]:
    """List the lines of reservations; they never change."""
    return await tx.fetch(LINES, list(order_ids))


OVERDUE = """
select order_id from reservations
 where state = 'held' and not kept and expires_at < clock_timestamp()
 order by expires_at limit $1
"""


async def overdue(tx: Tx, limit: int) -> list[UUID]:
    """Find provisional holds whose time is over."""
    return [row["order_id"] for row in await tx.fetch(OVERDUE, limit)]


KEEP = "update reservations set kept = true where order_id = any($1) and state = 'held'"


async def keep(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Take holds out of the clock's hands: their orders exist."""
    await tx.execute(KEEP, sorted(order_ids))


ENSURE = """
insert into stock (sku) select s from unnest($1::text[]) s order by s on conflict do nothing
returning sku
"""


async def ensure(tx: Tx, skus: Sequence[str]) -> set[str]:
    """Make a first row for skus that have none; give those that were new."""
    return {row["sku"] for row in await tx.fetch(ENSURE, sorted(set(skus)))}


RESPELL = """
with w as (
    select s.sku as was, n.sku from unnest($1::text[]) n(sku)
      join stock s on lower(s.sku) = lower(n.sku) and s.location = 'main' and s.sku <> n.sku
     where not exists (select from reservation_lines l where l.sku = s.sku)
     order by s.sku for update of s),
s as (update stock s set sku = w.sku, said = null from w
       where s.location = 'main' and s.sku = w.was)
update journal j set sku = w.sku from w where j.location = 'main' and j.sku = w.was
"""


async def respell(tx: Tx, skus: Sequence[str]) -> None:
    """Write rows that differ from skus by case alone as these are written, unless ordered so."""
    await tx.execute(RESPELL, sorted(set(skus)))


SET_THRESHOLD = "update stock set threshold = $2 where location = 'main' and sku = $1"


async def set_threshold(tx: Tx, sku: str, threshold: int) -> None:
    """Set from how many pieces on a sku counts as low."""
    await tx.execute(SET_THRESHOLD, sku, threshold)


STOCK = """
select sku, on_hand, reserved, on_hand - reserved as available,
       coalesce(threshold, $2) as threshold
  from stock where location = 'main' and sku = any($1) order by sku
"""


async def stock(tx: Tx, skus: Sequence[str], threshold: int) -> list[Row]:
    """Read the stock of some skus."""
    return await tx.fetch(STOCK, list(skus), threshold)


LIST = """
select sku, on_hand, reserved, on_hand - reserved as available,
       coalesce(threshold, $4) as threshold
  from stock where location = 'main' and sku > $1
   and ($2::bool is not true or on_hand - reserved <= coalesce(threshold, $4))
 order by sku limit $3
"""


async def list_stock(tx: Tx, after: str, low: bool, limit: int, threshold: int) -> list[Row]:
    """List stock by sku; with `low` only what is at its threshold or below."""
    return await tx.fetch(LIST, after, low, limit, threshold)


JOURNAL_OF = """
select id, delta, kind, reason, order_id, actor, at from journal
 where location = 'main' and sku = $1 and id < $2 order by id desc limit $3
"""


async def journal_of(tx: Tx, sku: str, before: int, limit: int) -> list[Row]:
    """List changes of a sku, newest first."""
    return await tx.fetch(JOURNAL_OF, sku, before, limit)


LOCATIONS = "select id, name from locations order by id"


async def locations(tx: Tx) -> list[Row]:
    """List where stock is kept."""
    return await tx.fetch(LOCATIONS)


LOCK_UNSAID = """
with news as (
    select location, sku from
        (select location, sku, on_hand - reserved as available, said, said_at, low,
                coalesce(threshold, $1) as threshold from stock where location = 'main') s
     where low <> (available <= threshold)
        or said is null
        or (said <> available and (said_at < clock_timestamp() - make_interval(secs => $2)
                                   or (said > 0) <> (available > 0)
                                   or (said > threshold) <> (available > threshold)))
     order by sku limit $3)
select sku, on_hand - reserved as available, said, low, crossings, version,
       coalesce(threshold, $1) as threshold
  from stock join news using (location, sku) order by sku for no key update of stock
"""


async def lock_unsaid(tx: Tx, threshold: int, lag_s: float, limit: int) -> list[Row]:
    """Find skus whose availability the others should hear of, at once or after `lag_s`."""
    return await tx.fetch(LOCK_UNSAID, threshold, lag_s, limit)


SET_SAID = """
update stock s set said = n.said, said_at = clock_timestamp(), low = n.low,
       crossings = n.crossings, version = n.version
  from unnest($1::text[], $2::int[], $3::bool[], $4::bigint[], $5::bigint[])
       n(sku, said, low, crossings, version)
 where s.location = 'main' and s.sku = n.sku
"""


async def set_said(tx: Tx, rows: Sequence[tuple[str, int, bool, int, int]]) -> None:
    """Note what was said: sku, available, low, crossings, version."""
    await tx.execute(SET_SAID, *(list(column) for column in zip(*rows, strict=True)))
