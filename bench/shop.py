"""The shop that is measured: started in a folder of its own, or one that runs already."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
from ways import Customer
from wire import Answer, Connection, place, request

from merkato import config
from merkato.chassis.engines import ports
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import Engines, addresses
from merkato.chassis.tokens import AUDIENCE, Tokens

MERKATO = (sys.executable, "-m", "merkato")
STOCK = 1_000_000_000  # pieces of each sku: nothing runs out
AT_ONCE = 8  # connections that prepare
TOKEN_OLD_S = 300  # tokens older than this are refreshed before a run; they live for 900 s
LOGINS_S = 120.0  # time for registrations and logins; each costs two slow hashes


class Refused(Exception):
    """The shop did not do what the preparation needs."""


class Shop:
    """Where a shop answers, and its data folder."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, Home(home)
        self.engines: Engines = addresses(self.home, config.SERVICES, *config.external_engines())

    def merkato(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the command line in this shop's folder."""
        return _run(self.home.path, arguments, given)


def _run(home: Path, arguments: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MERKATO, *arguments],
        env={**os.environ, "MERKATO_HOME": str(home)},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def running(url: str | None, *, each: bool = False, demo: bool = False) -> Iterator[Shop]:
    """Give a shop: the one at `url` (whose MERKATO_HOME is set), or a new one that is removed."""
    if url is not None:
        yield Shop(url, config.home())
        return
    home = Path(tempfile.mkdtemp(prefix="merkato-bench-"))
    home.chmod(0o711)
    port = ports.pick()
    arguments = ["up", "--port", str(port), "--detach"]
    try:
        done = _run(home, arguments + ["--each"] * each + ["--no-demo"] * (not demo))
        if done.returncode != 0:
            raise Refused(f"the shop did not start:\n{done.stdout}{done.stderr}")
        yield Shop(f"http://127.0.0.1:{port}", home)
    finally:
        _run(home, ["down"])
        remove(home)


def remove(home: Path) -> None:
    """Remove the folder of a stopped shop, and the database it keeps elsewhere when run as root."""
    database = home / "postgres"
    if database.is_symlink():
        shutil.rmtree(database.readlink().parent, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


class Caller:
    """Sends prepared requests over some connections, tries again when the shop is busy."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        for one in connections:
            self._free.put_nowait(one)

    async def send(self, message: bytes, *wanted: int) -> Answer:
        """Give the answer. Raises Refused unless its status is one of `wanted`."""
        connection = await self._free.get()
        try:
            for pause in (0.2, 0.5, 1.0, 2.0, None):
                answer = await connection.send(message)
                if answer.status not in (0, 429, 503, 504) or pause is None:
                    break
                await asyncio.sleep(pause)
        finally:
            self._free.put_nowait(connection)
        if answer.status not in wanted:
            line = message.partition(b"\r\n")[0].decode()
            raise Refused(f"{line}: {answer.status} {answer.body[:300].decode()}")
        return answer


@asynccontextmanager
async def calling(url: str, at_once: int = AT_ONCE) -> AsyncIterator[Caller]:
    """Give somebody who calls the shop."""
    connections = [Connection(*place(url)) for _ in range(at_once)]
    try:
        yield Caller(connections)
    finally:
        for one in connections:
            one.close()


class Customers:
    """People who have logged in; their tokens are refreshed before they end. Staff too."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._refresh: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._since = time.monotonic()
        self._staff: tuple[str, bytes] = ("", b"")  # address, credentials
        self.everybody: tuple[Customer, ...] = ()

    async def register(self, shop: Shop, count: int) -> int:
        """Open accounts and log in, over the API like everybody. Gives how many did.

        Passwords are hashed slowly on purpose. Whoever is left after LOGINS_S gets a token signed
        with the shop's own key for a customer who never logged in; to say so is up to the caller.
        """
        end = time.monotonic() + LOGINS_S
        async with calling(self._url) as caller:
            made = await asyncio.gather(*(self._join(caller, n, end) for n in range(count)))
        joined = [one for one in made if one is not None]
        self._signer = Tokens("users", shop.engines.secrets.signing["users"], {})
        self._ids = {_email(n): str(uuid4()) for n in range(count - len(joined))}
        self.everybody = (*joined, *map(self._signed, self._ids))
        self._since = time.monotonic()
        return len(joined)

    def _signed(self, email: str) -> Customer:
        claims = {"sub": self._ids[email], "role": "customer"}
        return Customer(email, self._signer.sign(claims, audience=AUDIENCE, seconds=900))

    async def _join(self, caller: Caller, n: int, end: float) -> Customer | None:
        async with self._places:
            return await self._log_in(caller, n) if time.monotonic() < end else None

    async def _log_in(self, caller: Caller, n: int) -> Customer:
        email = _email(n)
        word = secrets.token_urlsafe(18)
        body = msgspec.json.encode({"email": email, "password": word})
        await caller.send(request("POST", "/api/v1/auth/register", body=body), 202)
        answer = await caller.send(request("POST", "/api/v1/auth/token", body=body), 200)
        return self._keep(email, answer)

    def _keep(self, email: str, answer: Answer) -> Customer:
        pair = msgspec.json.decode(answer.body)
        self._refresh[email] = pair["refresh_token"]
        return Customer(email, pair["access_token"])

    async def fresh(self) -> tuple[Customer, ...]:
        """Give everybody, with tokens that live for some minutes more."""
        if time.monotonic() - self._since > TOKEN_OLD_S:
            async with calling(self._url) as caller:
                renewed = await asyncio.gather(*(self._renew(caller, c) for c in self.everybody))
            self.everybody, self._since = tuple(renewed), time.monotonic()
        return self.everybody

    async def administrator(self, shop: Shop) -> str:
        """Give an administrator's token; the account is made by the command line when needed."""
        if not self._staff[0]:
            email, word = f"admin-{secrets.token_hex(4)}@bench.example", secrets.token_urlsafe(18)
            command = ("create-admin", email)
            done = await asyncio.to_thread(shop.merkato, *command, given=word + "\n")
            if done.returncode != 0:
                raise Refused(f"no administrator: {done.stdout}{done.stderr}")
            self._staff = email, msgspec.json.encode({"email": email, "password": word})
        message = request("POST", "/api/v1/auth/token", body=self._staff[1])
        async with calling(self._url, 1) as caller:
            answer = await caller.send(message, 200)
        return str(msgspec.json.decode(answer.body)["access_token"])

    async def _renew(self, caller: Caller, customer: Customer) -> Customer:
        if customer.email in self._ids:
            return self._signed(customer.email)
        body = msgspec.json.encode({"refresh_token": self._refresh[customer.email]})
        answer = await caller.send(request("POST", "/api/v1/auth/token/refresh", body=body), 200)
        return self._keep(customer.email, answer)


def _email(n: int) -> str:
    return f"customer-{n:05d}-{secrets.token_hex(4)}@bench.example"


class Goods(msgspec.Struct, frozen=True):
    """What is on the shelves."""

    skus: tuple[str, ...]
    slugs: tuple[str, ...]


async def stock_up(shop: Shop, token: str, count: int) -> Goods:
    """Make `count` products of one sku each, with ample stock, over the API."""
    run = secrets.token_hex(3)
    goods = Goods(
        tuple(f"BENCH-{run}-{n:05d}" for n in range(count)),
        tuple(f"bench-{run}-{n:05d}" for n in range(count)),
    )
    async with calling(shop.url) as caller:
        await asyncio.gather(
            *(_make(caller, token, *one) for one in zip(goods.skus, goods.slugs, strict=True))
        )
    return goods


async def _make(caller: Caller, token: str, sku: str, slug: str) -> None:
    price = 500 + sum(map(ord, sku)) % 5_000
    words = {
        "title": f"Thing {sku}",
        "slug": slug,
        "description": "A thing to be measured with. " * 8,
    }
    product = {
        "status": "active",
        "texts": {"en": words},
        "variants": [
            {"sku": sku, "weight_g": 250, "prices": [{"currency": "EUR", "amount_minor": price}]}
        ],
    }
    body = msgspec.json.encode(product)
    await caller.send(request("POST", "/api/v1/products", token=token, body=body), 201)
    body = msgspec.json.encode({"on_hand": STOCK})
    key = f"Idempotency-Key: {sku}-{secrets.token_hex(8)}\r\n"
    message = request("PUT", f"/api/v1/stock/{sku}", token=token, body=body, headers=key)
    await caller.send(message, 200)
