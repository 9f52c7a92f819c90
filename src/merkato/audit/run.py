"""Runs the laws over one moment of every database, and looks twice before it blames.

Databases are read one after the other, so their moments differ a little: what was written within
`settle_s` is left alone, and what looks broken across databases is looked at again after a pause.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from merkato.audit.client_log import check_client_log
from merkato.audit.events import HEARD_WITHIN_S, check_heard
from merkato.audit.laws import (
    LAWS,
    SET_ASIDE,
    SET_ASIDE_SAYS,
    coupons,
    events,
    mail,
    money,
    orders,
    stock,
    trail,
    webhooks,
)
from merkato.audit.laws.statement import Statement, check
from merkato.audit.orders import SUSPECTS_MAX, OrdersWalk, changed
from merkato.audit.processor import Silent, check_processor
from merkato.audit.reading import Scope, snapshots, started_at
from merkato.audit.result import Result, Tally
from merkato.audit.trail import check_noted
from merkato.chassis.db import Tx

STATEMENTS: tuple[Statement, ...] = (
    *stock.STATEMENTS,
    *money.STATEMENTS,
    *coupons.STATEMENTS,
    *orders.STATEMENTS,
    *mail.STATEMENTS,
    *events.STATEMENTS,
    *trail.STATEMENTS,
    *webhooks.STATEMENTS,
)
LASTING = {one.law for one in STATEMENTS} - {one.law for one in STATEMENTS if not one.lasting}
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LOOKS = 3  # the first and those after it, before something is said to be broken
FULL_AGAIN = timedelta(minutes=10)  # how often a watch looks at everything
OVERLAP = timedelta(seconds=90)  # a watch looks back so far beyond its last look


class _Look(msgspec.Struct):
    """What one look at everything, or at a part, has found."""

    tallies: dict[str, Tally]
    at: datetime | None  # the moment it shows, by the database's clock
    suspects: set[UUID]


async def audit(
    dsns: Mapping[str, str],
    *,
    settle_s: float = 10.0,
    client_log: Path | None = None,
    processor_url: str | None = None,
    scope: Scope | None = None,
) -> list[Result]:
    """Check every law whose tables exist, over the databases of services by name.

    What looks broken, and could be a matter of moments, is looked at up to twice more, half of
    `settle_s` (seconds) apart. M5 needs the base URL of the stand-in processor, D1 a client's log
    (see client_log.py). Only reads. Raises OSError when a database does not answer.
    """
    results, _ = await _audit(dsns, scope or Scope(settle_s=settle_s), client_log, processor_url)
    return results


async def watch(
    dsns: Mapping[str, str],
    *,
    settle_s: float = 10.0,
    every_s: float = 5.0,
    client_log: Path | None = None,
    processor_url: str | None = None,
) -> AsyncIterator[list[Result]]:
    """Audit for ever: everything at first and every ten minutes, between that what has changed.

    An order that was suspected is looked at until it is clean.
    """
    full_at: datetime | None = None
    last: datetime | None = None
    suspects: set[UUID] = set()
    while True:
        scope = Scope(settle_s=settle_s)
        if last and full_at and last - full_at < FULL_AGAIN:
            since = last - OVERLAP - timedelta(seconds=settle_s)
            touched = suspects | await _changed(dsns, since)
            if len(touched) <= SUSPECTS_MAX:
                scope = Scope(settle_s=settle_s, orders=tuple(sorted(touched)), since=since)
        results, look = await _audit(dsns, scope, client_log, processor_url)
        last, suspects = look.at, look.suspects
        if scope.orders is None:
            full_at = last
        yield results
        await asyncio.sleep(every_s)


async def _changed(dsns: Mapping[str, str], since: datetime) -> set[UUID]:
    async with snapshots(dsns) as opened:
        return await changed(opened, since)


async def _audit(
    dsns: Mapping[str, str], scope: Scope, client_log: Path | None, processor_url: str | None
) -> tuple[list[Result], _Look]:
    found = await _look(dsns, scope, client_log, processor_url)
    for _ in range(LOOKS - 1):
        doubted = {law for law, tally in found.tallies.items() if tally.count} - LASTING
        if not doubted:
            break
        await asyncio.sleep(scope.settle_s / 2)
        again = scope
        suspects = found.suspects | {
            UUID(id) for law in doubted for id in found.tallies[law].offences if _ID.fullmatch(id)
        }
        if len(suspects) <= SUSPECTS_MAX:
            again = msgspec.structs.replace(scope, orders=tuple(sorted(suspects)))
        again_log = client_log if "D1" in doubted else None
        again_url = processor_url if "M5" in doubted else None
        seen = await _look(dsns, again, again_log, again_url, only=doubted)
        for law in doubted:
            found.tallies[law].confirm(seen.tallies[law])
        found.suspects = seen.suspects
    results = [found.tallies[law].result(law, says) for law, says in LAWS.items()]
    aside = found.tallies[SET_ASIDE].result(SET_ASIDE, SET_ASIDE_SAYS, warning=True)
    return [*results, aside], found


async def _look(
    dsns: Mapping[str, str],
    scope: Scope,
    client_log: Path | None,
    processor_url: str | None,
    only: set[str] | None = None,
) -> _Look:
    """Look once. `only`: these laws."""
    tallies = {law: Tally() for law in (*LAWS, SET_ASIDE)}
    async with snapshots(dsns) as opened:
        inside = (_check_inside(name, tx, scope, tallies, only) for name, tx in opened.items())
        await asyncio.gather(*inside)
        walk = OrdersWalk(opened, scope)
        for law, service in walk.missing().items():
            tallies[law].notes.append(f"not checked: {service} has no tables")
        if "orders" in opened:
            await walk.walk(tallies)
            _note_mails(walk, tallies["N1"])
        at = None
        for tx in opened.values():
            at = await started_at(tx)
        if at is not None and (only is None or "E1" in only):
            until = at - timedelta(seconds=HEARD_WITHIN_S + scope.settle_s)
            await check_heard(opened, scope.since, until, tallies["E1"])
        if at is not None and scope.since is None and (only is None or "T1" in only):
            until = at - timedelta(seconds=HEARD_WITHIN_S + scope.settle_s)
            await check_noted(opened, until, tallies["T1"])
        await _check_processor(opened, processor_url, scope, tallies["M5"])
        if client_log is None or "orders" not in opened:
            tallies["D1"].notes.append("not checked: no client's log was given")
        else:
            await check_client_log(opened["orders"], client_log, tallies["D1"])
    return _Look(tallies, at, walk.suspects)


async def _check_inside(
    service: str,
    tx: Tx,
    scope: Scope,
    tallies: Mapping[str, Tally],
    only: set[str] | None,
) -> None:
    for statement in STATEMENTS:
        if statement.database in (None, service) and (only is None or statement.law in only):
            await check(tx, statement, scope, tallies[statement.law])


async def _check_processor(
    opened: Mapping[str, Tx], url: str | None, scope: Scope, tally: Tally
) -> None:
    if url is None or "payments" not in opened:
        tally.notes.append("not checked: there is no stand-in processor to ask")
        return
    try:
        await check_processor(opened["payments"], url, scope.settle_s, tally)
    except Silent as silent:
        tally.notes.append(f"not checked: the processor does not say what it knows ({silent})")


def _note_mails(walk: OrdersWalk, tally: Tally) -> None:
    if walk.waiting:
        tally.notes.append(f"{walk.waiting} confirmations wait to be sent")
    if walk.undelivered:
        tally.notes.append(f"{walk.undelivered} confirmations could not be delivered")
