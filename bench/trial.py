"""One run of one way: load, count what the databases confirm, and what it cost."""

import asyncio
import math
import random
import sys
import tempfile
import urllib.request
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import asyncpg
import msgspec
from gauges import Gauges, machine_cpu_s, spent
from ledger import Count, Ledger, now
from load import Seen
from shop import Customers, Goods, Shop, calling
from ways import BUYING, Plan, Record
from wire import request

DRAIN_S = 120.0  # the longest wait for confirmations after the load
MAIL_S = 300.0  # and for SMTP to send what is queued
LOOKS = 500  # orders that GET is asked about after a run
LOAD = Path(__file__).with_name("load.py")


class Latency(msgspec.Struct, frozen=True):
    """Percentiles (ms) of the request that counts."""

    p50: float
    p95: float
    p99: float
    most: float


class Trial(msgspec.Struct, kw_only=True):
    """What a run showed. Rates are per second of the window."""

    way: str
    run: str
    seconds: float
    connections: int
    statuses: dict[str, int]  # of the request that counts; 0: no answer
    other_statuses: dict[str, int]  # of the requests beside it
    rate: float  # the figure: confirmed and mailed by the end of the window (read: answered)
    accepted_rate: float  # answered 202 (read: 200) within the window
    latency: Latency
    whole: Latency | None = None  # of whole purchases, cart to confirmation
    accepted: int = 0
    confirmed_at_end: int = 0  # by the end of the window, mail row or not
    confirmed: int = 0  # once drained
    counted: int = 0  # confirmed with a mail row, once drained
    looked: dict[str, int] = {}  # statuses that GET told of a sample
    states: dict[str, int] = {}  # statuses of all accepted orders, by SQL
    drain_s: float = 0.0  # from the end of the window until every order counts
    mail_drain_s: float = 0.0  # and until SMTP had sent everything
    mails_per_s: float = 0.0  # by SMTP, from the first order to the last mail
    cpu_ms: dict[str, float] = {}  # per order (read: per request), by process
    busy: dict[str, float] = {}  # cores used during the window, by process
    others_busy: float = 0.0  # cores that programs beside the shop and the load used meanwhile
    transactions: float = 0.0  # of SQL, per order
    wal_bytes: float = 0.0  # per order


class Bench:
    """A prepared shop and all that measures it."""

    def __init__(
        self, shop: Shop, goods: Goods, customers: Customers, ledger: Ledger, gauges: Gauges,
        admin: asyncpg.Connection, *, confirms: bool,
    ) -> None:  # fmt: skip
        self.shop, self.goods, self.customers = shop, goods, customers
        self.ledger, self.gauges, self.admin = ledger, gauges, admin
        self.confirms = confirms

    async def plan(self, way: str, run: str, seconds: float, connections: int) -> Plan:
        """Make the plan of a load process."""
        return Plan(
            url=self.shop.url, way=way, run=run, seconds=seconds, connections=connections,
            customers=await self.customers.fresh(), skus=self.goods.skus, slugs=self.goods.slugs,
            confirms=self.confirms,
        )  # fmt: skip

    async def trial(self, plan: Plan) -> Trial:
        """Run a plan; waits until its orders are confirmed and its mails are sent."""
        loop = asyncio.get_running_loop()
        since, mails = now(), await self._mails()
        watching = asyncio.create_task(self.gauges.watch())
        try:
            async with loading(plan) as load:
                cpu, machine = self.gauges.cpu(), machine_cpu_s()
                before = await spent(self.admin)
                began = loop.time()
                await load.begin()
                await load.stopped()
                ended = loop.time()
                busy = _less(self.gauges.cpu(), cpu)
                all_busy = machine_cpu_s() - machine
                at_end = Count(set(), set())
                if plan.way in BUYING:
                    at_end = await self.ledger.count(plan.run, since)
                seen = await load.seen()
            trial = _trial(plan, seen, at_end)
            window = ended - began
            trial.busy = {name: used / window for name, used in busy.items()}
            trial.busy["load generator"] = seen.cpu_s / window
            trial.others_busy = max(0.0, (all_busy - sum(busy.values()) - seen.cpu_s) / window)
            if plan.way in BUYING:
                await self._settle(trial, plan, seen, since, ended)
                mailed = await self._mails() - mails
                trial.mails_per_s = mailed / (window + trial.mail_drain_s)
            await asyncio.sleep(1.2)  # backends report what they did up to a second late
            after = await spent(self.admin)
            used = _less(self.gauges.cpu(), cpu) | {"load generator": seen.cpu_s}
        finally:
            watching.cancel()
        each = max(1, trial.accepted)
        trial.cpu_ms = {name: s * 1000 / each for name, s in used.items()}
        trial.transactions = (after.transactions - before.transactions) / each
        trial.wal_bytes = (after.wal_bytes - before.wal_bytes) / each
        return trial

    async def _settle(
        self, trial: Trial, plan: Plan, seen: Seen, since: datetime, ended: float
    ) -> None:
        """Wait until all is confirmed and mailed, then count."""
        loop = asyncio.get_running_loop()
        wanted = {record.order_id for record in seen.records if record.order_id}
        patience = DRAIN_S if self.confirms else 5.0
        count = await self.ledger.wait(plan.run, since, wanted, patience)
        trial.drain_s = loop.time() - ended
        trial.confirmed, trial.counted = len(count.confirmed), len(count.counted)
        trial.states = await self.ledger.states(list(wanted))
        await self.ledger.wait_for_mails(MAIL_S)
        trial.mail_drain_s = loop.time() - ended
        sample = random.Random(plan.run).sample(sorted(wanted), min(LOOKS, len(wanted)))
        trial.looked = await self._look(sample, seen.records, plan)

    async def _look(self, ids: list[str], records: list[Record], plan: Plan) -> dict[str, int]:
        """Ask GET /orders/{id} as an administrator, whom every order is shown."""
        found: dict[str, int] = {}
        async with calling(self.shop.url) as caller:
            token = await self.customers.administrator(self.shop)
            for one in ids:
                message = request("GET", f"/api/v1/orders/{one}", token=token)
                answer = await caller.send(message, 200)
                status = str(msgspec.json.decode(answer.body)["status"])
                found[status] = found.get(status, 0) + 1
        return found

    async def _mails(self) -> int:
        """Give how many mails the mailbox has taken; 0 where there is no mailbox."""
        port = self.shop.home.ports().get("mailbox")
        if port is None:
            return 0
        url = f"http://127.0.0.1:{port}/api/stats"
        with suppress(OSError):
            told = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read())
            return int(msgspec.json.decode(told)["accepted"])
        return 0


class loading:
    """A load process that is ready to begin."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name) / "seen.json"

    async def __aenter__(self) -> "loading":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(LOAD), str(self._file),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(self._plan) + b"\n")
        await self._hear("ready")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        self._folder.cleanup()

    async def begin(self) -> None:
        """Start the clock."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()

    async def stopped(self) -> None:
        """Wait until the time is over."""
        await self._hear("stopped")

    async def seen(self) -> Seen:
        """Wait for what was on its way, and give what was seen."""
        await self._hear("written")
        return msgspec.json.decode(self._file.read_bytes(), type=Seen)

    async def _hear(self, word: str) -> None:
        assert self._process.stdout is not None
        heard = await self._process.stdout.readline()
        if heard.decode().strip() != word:
            raise SystemExit(f"the load generator said {heard!r} in place of {word}")


def _trial(plan: Plan, seen: Seen, at_end: Count) -> Trial:
    good = 200 if plan.way == "read" else 202
    done = [one for one in seen.records if one.status == good]
    within = [one for one in done if one.at_s + one.took_ms / 1000 <= plan.seconds]
    statuses: dict[str, int] = {}
    for one in seen.records:
        statuses[str(one.status)] = statuses.get(str(one.status), 0) + 1
    wholes = [one.whole_ms for one in done if one.whole_ms]
    counted = len(within) if plan.way == "read" else len(at_end.counted)
    return Trial(
        way=plan.way,
        run=plan.run,
        seconds=plan.seconds,
        connections=plan.connections,
        statuses=statuses,
        other_statuses={str(status): n for status, n in seen.other_statuses.items()},
        rate=counted / plan.seconds,
        accepted_rate=len(within) / plan.seconds,
        latency=_latency([one.took_ms for one in seen.records]),
        whole=_latency(wholes) if wholes else None,
        accepted=len(done),
        confirmed_at_end=len(at_end.confirmed),
    )


def _latency(values: list[float]) -> Latency:
    ordered = sorted(values) or [math.nan]

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(at(0.5), at(0.95), at(0.99), ordered[-1])


def _less(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: used - before.get(name, 0.0) for name, used in after.items()}
