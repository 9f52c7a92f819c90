"""How a large catalogue is imported, and how quickly it is listed and searched afterwards.

`.venv/bin/python bench/catalogue.py` starts a shop of its own, imports 100,000 products with
`merkato import`, shops there meanwhile, and waits until orders and inventory know all of it. Then
it reads lists over 16 connections, each kind for some seconds. `--home DIR` with `--keep` leaves
the shop's folder; a later run with the same `--home` lists what is there. Exit status: 0 all is
within its bounds, 1 not.
"""

import argparse
import asyncio
import contextlib
import csv
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import msgspec
import report
from gauges import Gauges
from report import Floor, console
from rich.table import Table
from shop import MERKATO, Shop, remove
from wire import Connection, place, request

from merkato.chassis.engines import ports

IMPORT_S = 120.0  # for 100,000 rows, from sending to done
GROWTH_MB = 150.0  # of the shop's process from the first tenth to the end
P95_MS = 50.0
CONNECTIONS = 16
PATIENCE_S = 600.0
SYLLABLES = [a + b for a in "bdfghklmnprstvwz" for b in "aeiou"]
COLOURS = ["moss", "sand", "clay", "coal", "sky", "rust", "plum", "snow"]
MATERIALS = ["oak", "steel", "linen", "wool", "glass", "cork", "felt", "brass", "slate", "silk"]


class Goods:
    """Invented goods: words that some share and most do not, as in real shops."""

    def __init__(self, seed: int = 7) -> None:
        self.dice = random.Random(seed)
        words = {"".join(self.dice.choices(SYLLABLES, k=self.dice.choice((2, 3, 3, 4, 4))))
                 for _ in range(9_000)}  # fmt: skip
        self.words = sorted(words)
        self.dice.shuffle(self.words)
        self.weights = [1 / (n + 10) for n in range(len(self.words))]  # after Zipf

    def some(self, count: int) -> list[str]:
        """Draw words, frequent ones more often."""
        return self.dice.choices(self.words, self.weights, k=count)

    def write(self, file: Path, rows: int, categories: list[str]) -> None:
        """Write a file of so many products of one variant each."""
        columns = ["slug", "status", "title", "description", "categories", "attr.colour"]
        columns += ["attr.material", "attr.width_mm:int", "attr.new:bool", "sku", "weight_g"]
        columns += ["price.EUR", "price.EUR@10", "price.USD"]
        dice = self.dice
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            for n in range(rows):
                price = dice.randint(99, 20_000)
                writer.writerow(
                    [
                        f"goods-{n:06d}", "active", " ".join(self.some(4)).capitalize(),
                        " ".join(self.some(30)).capitalize() + ".", dice.choice(categories),
                        dice.choice(COLOURS), dice.choice(MATERIALS), dice.randrange(10, 500, 10),
                        dice.choice(("true", "false")), f"GOODS-{n:06d}", dice.randint(10, 9_000),
                        f"{price / 100:.2f}", f"{price * 9 // 10 / 100:.2f}", f"{price / 90:.2f}",
                    ]
                )  # fmt: skip


def start(home: Path, port: int) -> None:
    """Start a shop without goods in the background."""
    command = [*MERKATO, "up", "--port", str(port), "--detach", "--no-demo"]
    done = subprocess.run(
        command, env=environment(home), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"the shop did not start:\n{done.stdout}{done.stderr}")


def environment(home: Path) -> dict[str, str]:
    """Give the environment of a command in a shop's folder."""
    return {**os.environ, "MERKATO_HOME": str(home)}


async def timed(connection: Connection, message: bytes) -> tuple[int, float]:
    """Send a request; give its status and the milliseconds to its answer."""
    began = time.perf_counter()
    answer = await connection.send(message)
    return answer.status, (time.perf_counter() - began) * 1000


class Watch:
    """Looks on while a file is imported: memory each second, and a customer's requests."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.gauges = shop, Gauges(shop)
        self.memory_mb: list[float] = []
        self.reads_ms: list[float] = []
        self.carts_ms: list[float] = []
        self.failures = 0

    async def look(self) -> None:
        """Look until cancelled."""
        connection = Connection(*place(self.shop.url))
        cart = request("POST", "/api/v1/carts", body=b'{"currency": "EUR"}')
        try:
            while True:
                self.memory_mb.append(self.gauges.pss_bytes().get("shop", 0) / 1e6)
                for _ in range(5):
                    for message, kept in (
                        (request("GET", "/api/v1/products?limit=20"), self.reads_ms),
                        (cart, self.carts_ms),
                    ):
                        status, took = await timed(connection, message)
                        kept.append(took)
                        self.failures += status not in (200, 201)
                    await asyncio.sleep(0.1)
        finally:
            connection.close()


async def imported(shop: Shop, file: Path, rows: int) -> tuple[float, float, Watch]:
    """Import a file; give seconds until it was done, until all had heard of it, and the watch."""
    watch = Watch(shop)
    looking = asyncio.create_task(watch.look())
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *MERKATO, "import", str(file), env=environment(shop.home.path),
    )  # fmt: skip
    status = await process.wait()
    done = time.perf_counter() - began
    if status != 0:
        raise SystemExit(f"the import ended with {status}")
    for name, sql in (
        ("orders", "select count(*) from offers"),
        ("inventory", "select count(*) from stock"),
    ):
        connection = await asyncpg.connect(shop.engines.database_urls[name])
        while await connection.fetchval(sql) < rows:
            if time.perf_counter() - began > PATIENCE_S:
                raise SystemExit(f"{name} does not hear of the goods")
            await asyncio.sleep(0.2)
        await connection.close()
    heard = time.perf_counter() - began
    looking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await looking
    return done, heard, watch


def kinds(goods: Goods, categories: list[str]) -> dict[str, Callable[[], str]]:
    """Give what people ask for, by kind; each call asks for something else."""
    dice, frequent = goods.dice, goods.words[:200]

    def typo() -> str:
        word = dice.choice([word for word in frequent if len(word) > 5])
        at = dice.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return {
        "newest": lambda: "limit=20",
        "category": lambda: f"category={dice.choice(categories)}",
        "price": lambda: f"sort=price&min_price={dice.randint(100, 15_000)}",
        "category by price": lambda: f"category={dice.choice(categories)}&sort=-price",
        "attribute": lambda: (
            f"attr.colour={dice.choice(COLOURS)}&attr.material={dice.choice(MATERIALS)}"
        ),
        "title": lambda: "sort=title",
        "search, one word": lambda: f"q={goods.some(1)[0]}",
        "search, two words": lambda: f"q={'+'.join(goods.some(2))}",
        "search and filter": lambda: f"q={goods.some(1)[0]}&attr.colour={dice.choice(COLOURS)}",
        "search, mistyped": lambda: f"q={typo()}",
        "facets of a category": lambda: f"category={dice.choice(categories)}&facets=true",
        "facets of a search": lambda: f"q={goods.some(1)[0]}&facets=true",
        "facets of two words": lambda: f"q={'+'.join(goods.some(2))}&facets=true",
        "facets of everything": lambda: "facets=true",
    }


async def listed(shop: Shop, ask: Callable[[], str], seconds: float) -> tuple[list[float], int]:
    """Ask over 16 connections for some seconds; give milliseconds and how many failed."""
    connections = [Connection(*place(shop.url)) for _ in range(CONNECTIONS)]
    took: list[float] = []
    failed, end = 0, time.perf_counter() + seconds

    async def customer(connection: Connection) -> None:
        nonlocal failed
        while time.perf_counter() < end:
            status, ms = await timed(connection, request("GET", f"/api/v1/products?{ask()}"))
            took.append(ms)
            failed += status != 200

    await asyncio.gather(*map(customer, connections))
    for connection in connections:
        connection.close()
    return took, failed


async def measure(home: Path, port: int, given: argparse.Namespace) -> list[Floor]:
    """Import unless that was done, then list."""
    shop, goods = Shop(f"http://127.0.0.1:{port}", home), Goods()
    categories = [f"shelf-{n:03d}" for n in range(200)]
    floors: list[Floor] = []
    if not (home / "imported").exists():
        token = await administrator(shop)
        await make_categories(shop, token, categories)
        file = home / "goods.csv"
        goods.write(file, given.rows, categories)
        console.print(f"{given.rows:,} rows, {file.stat().st_size / 1e6:.0f} MB")
        done, heard, watch = await imported(shop, file, given.rows)
        (home / "imported").touch()
        early = max(watch.memory_mb[: max(3, len(watch.memory_mb) // 10)])
        grown = max(watch.memory_mb) - early
        console.print(
            f"imported in {done:.0f} s ({given.rows / done:,.0f} rows/s), heard by orders and "
            f"inventory after {heard:.0f} s; memory {early:.0f} MB early, "
            f"{max(watch.memory_mb):.0f} MB at most; a customer meanwhile: "
            f"list p50 {statistics.median(watch.reads_ms):.0f} p95 {p95(watch.reads_ms):.0f} ms, "
            f"cart p50 {statistics.median(watch.carts_ms):.0f} p95 {p95(watch.carts_ms):.0f} ms, "
            f"{watch.failures} failures"
        )
        bound = IMPORT_S * given.rows / 100_000
        floors += [
            Floor(f"import < {bound:.0f} s", f"{done:.0f} s", done < bound),
            Floor(f"memory grows < {GROWTH_MB:.0f} MB", f"{grown:.0f} MB", grown < GROWTH_MB),
        ]
        await asyncio.sleep(given.rest)
    table = Table("list", "answers/s", "p50 ms", "p95", "max", "failed", box=None)
    for kind, ask in kinds(goods, categories).items():
        await listed(shop, ask, 1.0)  # plans and pages of the tables come into memory
        took, failed = await listed(shop, ask, given.seconds)
        table.add_row(
            kind, f"{len(took) / given.seconds:,.0f}", f"{statistics.median(took):.1f}",
            f"{p95(took):.1f}", f"{max(took):.0f}", str(failed),
        )  # fmt: skip
        fits = p95(took) < P95_MS and not failed
        floors.append(Floor(f"{kind}: p95 < {P95_MS:.0f} ms", f"{p95(took):.1f} ms", fits))
    console.print(table)
    return floors


def p95(values: list[float]) -> float:
    """Give what 95 of 100 do not exceed."""
    return sorted(values)[int(len(values) * 0.95)] if values else float("inf")


async def administrator(shop: Shop) -> str:
    """Give an administrator's token."""
    body = {"email": "admin@bench.example", "password": "a long word for a bench"}
    shop.merkato("create-admin", body["email"], given=body["password"] + "\n")
    connection = Connection(*place(shop.url))
    answer = await connection.send(
        request("POST", "/api/v1/auth/token", body=msgspec.json.encode(body))
    )
    connection.close()
    return str(msgspec.json.decode(answer.body)["access_token"])


async def make_categories(shop: Shop, token: str, slugs: list[str]) -> None:
    """Make categories, nine below every tenth."""
    connection, parent = Connection(*place(shop.url)), None
    for n, slug in enumerate(slugs):
        body = {
            "parent_id": parent if n % 10 else None,
            "texts": {"en": {"title": slug, "slug": slug}},
        }
        answer = await connection.send(
            request("POST", "/api/v1/categories", token=token, body=msgspec.json.encode(body))
        )
        if n % 10 == 0:
            parent = msgspec.json.decode(answer.body)["id"]
    connection.close()


def main() -> int:
    """Import, list, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="products (default 100,000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each kind of list")
    parser.add_argument("--rest", type=float, default=10.0, help="seconds between import and lists")
    parser.add_argument("--home", type=Path, help="the shop's folder")
    parser.add_argument("--keep", action="store_true", help="leave the shop's folder")
    given = parser.parse_args()
    home = given.home or Path(tempfile.mkdtemp(prefix="merkato-bench-"))
    home.mkdir(exist_ok=True)
    home.chmod(0o711)
    port = ports.pick()
    try:
        start(home, port)
        try:
            floors = asyncio.run(measure(home, port, given))
        finally:
            subprocess.run(
                [*MERKATO, "down"], env=environment(home), capture_output=True, check=False
            )
    finally:
        if not given.keep:
            remove(home)
    report.verdicts(floors)
    console.print(f"load of the machine meanwhile: {os.getloadavg()[0]:.1f}")
    return 0 if all(floor.holds for floor in floors) else 1


if __name__ == "__main__":
    sys.exit(main())
