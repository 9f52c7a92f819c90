"""The load generator: a process of its own that buys for some seconds and writes down what it saw.

Reads a plan (JSON, a line) from standard input, says `ready`, waits for a line, buys, says
`stopped` when the time is over, waits for what is on its way, and writes its records to a file.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec
import uvloop
from ways import Buyer, Plan, Record
from wire import Connection, place


class Seen(msgspec.Struct, frozen=True):
    """What a load process saw."""

    seconds: float  # how long it began new requests
    records: list[Record]
    other_statuses: dict[int, int]
    cpu_s: float  # what this process itself used, from start to stop


async def _until(buyer: Buyer, end: float) -> None:
    while time.perf_counter() < end:
        await buyer.once()


async def load(plan: Plan) -> Seen:
    """Buy for a while with every connection busy."""
    host, port = place(plan.url)
    connections = [Connection(host, port) for _ in range(plan.connections)]
    await asyncio.gather(*(one.open() for one in connections))
    _say("ready")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    began, cpu = time.perf_counter(), time.process_time()
    end = began + plan.seconds
    buyers = [Buyer(plan, n, one, began) for n, one in enumerate(connections)]
    asyncio.get_running_loop().call_at(
        asyncio.get_running_loop().time() + plan.seconds, _say, "stopped"
    )
    await asyncio.gather(*(_until(buyer, end) for buyer in buyers))
    used = time.process_time() - cpu
    for one in connections:
        one.close()
    others: dict[int, int] = {}
    for buyer in buyers:
        for status, count in buyer.other_statuses.items():
            others[status] = others.get(status, 0) + count
    records = [record for buyer in buyers for record in buyer.records]
    return Seen(plan.seconds, records, others, used)


def _say(word: str) -> None:
    print(word, flush=True)


def main() -> None:
    """Do what standard input says; the argument is the file for the records."""
    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    seen = uvloop.run(load(plan))
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(seen))
    _say("written")


if __name__ == "__main__":
    main()
