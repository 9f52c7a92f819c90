"""The log as it grows: Server-Sent Events, resumed by `Last-Event-ID`.

Each stream reads the log by itself, from its own position, on whichever replica it is; bells of the
log only wake it. A reader that takes nothing for a while is cut off by the edge, and resumes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

from litestar import get
from litestar.params import Parameter
from litestar.response import Stream

from merkato.broker.actions.log import LOG
from merkato.broker.http.events import (
    PATH,
    READ,
    TopicFilter,
    look,
    position_of,
    types_of,
    with_cursor,
)
from merkato.broker.store import log as store
from merkato.chassis.db import Database, Row
from merkato.chassis.http import Cursor, Standing, encode_cursor, staff
from merkato.contracts.problem import Overloaded, Problem

PAGE = 200  # events read at once
HEARTBEAT_S = 5.0  # a sign of life when nothing happens; proxies wait longer
LOOK_S = 2.0  # the log is looked at so often even if no bell rings
LEAST_S = 0.05  # time between two reads of one stream
JUDGE_S = 10.0  # how often it is asked whether the reader still may read
LIFE_S = 900.0  # then the reader comes again with Last-Event-ID


class Streams:
    """How many streams are open in this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one as long as it is open. Raises Overloaded."""
        if self._open >= self._most:
            raise Overloaded("Too many streams are open; read the log page by page.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


@get(
    f"{PATH}/stream",
    policy=staff(READ),
    media_type="text/event-stream",
    produces=("text/event-stream",),
)
async def stream_events(
    db: Database,
    streams: Streams,
    standing: Standing,
    topic: TopicFilter = None,
    after: Cursor = None,
    last_event_id: Annotated[str | None, Parameter(header="Last-Event-ID", max_length=500)] = None,
) -> Stream:
    """Send public events as they are logged, each a CloudEvent, its cursor the event's id.

    Begins behind `Last-Event-ID` or `after`, otherwise with what happens from now on. Ends after a
    quarter of an hour: come again with `Last-Event-ID`, as browsers do by themselves. Ends within a
    minute when the caller's token, key or right does.
    """
    frames = _follow(db, streams, standing, topic, last_event_id or after)
    await anext(frames)  # it is counted, and what is refused is refused now
    return Stream(
        frames,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _follow(
    db: Database, streams: Streams, standing: Standing, topic: list[str] | None, begin: str | None
) -> AsyncIterator[bytes]:
    with streams.one(), db.listening(LOG) as bell:
        async with db.reading() as tx:
            types = await types_of(tx, topic)
            position = position_of(begin) if begin else await store.head(tx)
        yield b""
        yield b"retry: 1000\n\n"
        loop = asyncio.get_running_loop()
        judged = spoke = loop.time()
        ends = spoke + LIFE_S
        while loop.time() < ends:
            if loop.time() - judged > JUDGE_S:
                try:
                    await standing.check()
                except Problem:
                    return
                judged = loop.time()
            bell.clear()  # before the read: what comes after it rings again
            async with db.transaction(snapshot=types is not None) as tx:
                found = await look(tx, position, types, None, PAGE)
            position = found.upto
            if found.rows:
                yield b"".join(_frame(row) for row in found.rows)
                spoke = loop.time()
            elif loop.time() - spoke > HEARTBEAT_S - LOOK_S:
                yield b": still here\n\n"
                spoke = loop.time()
            if found.more:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await bell.wait()
                await asyncio.sleep(LEAST_S)


def _frame(row: Row) -> bytes:
    cursor = encode_cursor(row["position"])
    head = f"id: {cursor}\nevent: {row['type']}\ndata: ".encode()
    return head + with_cursor(row) + b"\n\n"
