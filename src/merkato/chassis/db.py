"""A service's own PostgreSQL database: pool, transactions, migrations, and who leads."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any, TypeAlias

import asyncpg
import msgspec
import structlog

from merkato.contracts.problem import Problem

log = structlog.get_logger()

Row: TypeAlias = Any  # asyncpg.Record: columns by name
ACQUIRE_S = 2.0  # longest wait for a free connection
RETRY_S = 1.0  # pause before leadership is tried for again
ALIVE_S = 5.0  # how often a leader looks whether its connection lives
MIGRATION_LOCK = 0x6D65726B  # any constant: lets one process migrate at a time
LEADER_LOCK = 0x6D65726C  # any other: held by the process that leads

SETTINGS = {  # of every session; see docs/promises.md, durability
    "application_name": "merkato",
    "lock_timeout": "2s",
    "statement_timeout": "5s",
    "transaction_timeout": "15s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "timezone": "UTC",
}

RETRYABLE = (
    OSError,  # includes refused and reset connections, and TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.TransactionRollbackError,  # serialization failure, deadlock
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,  # shutdown, cannot connect now
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


def house_is_down(error: BaseException) -> bool:
    """Tell whether `error` is about the house, not about what was asked: try again later."""
    if isinstance(error, BaseExceptionGroup):
        return all(house_is_down(inner) for inner in error.exceptions)
    return isinstance(error, RETRYABLE)


def does_not_answer(error: BaseException) -> bool:
    """Tell whether `error` says that no connection is to be had at the moment."""
    missing = (asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError)
    return isinstance(error, (ConnectionError, TimeoutError, *missing))


def timed_out(error: BaseException) -> bool:
    """Tell whether `error` says that something took too long: the house, or what was asked."""
    return isinstance(error, (TimeoutError, asyncpg.QueryCanceledError))


class Tx:
    """A connection inside a transaction; whoever opened it ends it."""

    __slots__ = ("_connection", "before_commit", "outgoing", "wakes")

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.before_commit: Callable[[Tx], Awaitable[None]] | None = None
        self.outgoing: list[Any] = []  # what will be said if this commits
        self.wakes: set[str] = set()  # whom to wake once this is committed

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        """Give all rows."""
        rows: list[Row] = await self._connection.fetch(sql, *values)
        return rows

    async def fetchrow(self, sql: str, *values: Any) -> Row | None:
        """Give the first row, or None."""
        return await self._connection.fetchrow(sql, *values)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        """Give the first column of the first row, or None."""
        return await self._connection.fetchval(sql, *values)

    async def execute(self, sql: str, *values: Any) -> int:
        """Give the number of rows touched."""
        done: str = await self._connection.execute(sql, *values)
        tail = done.rsplit(" ", 1)[-1]
        return int(tail) if tail.isdigit() else 0

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of values; prefer unnest for many."""
        await self._connection.executemany(sql, rows)

    async def prepare(self, sql: str) -> None:
        """Have PostgreSQL parse and check a statement."""
        await self._connection.prepare(sql)

    def wake(self, whom: str) -> None:
        """Wake a job, by its name, once this transaction is committed."""
        self.wakes.add(whom)


class Database:
    """One service's database. Opened and closed by the service runner."""

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._bells: dict[str, asyncio.Event] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}

    @asynccontextmanager
    async def transaction(self, *, snapshot: bool = False) -> AsyncIterator[Tx]:
        """Give a transaction that commits on leaving and rolls back on raising.

        READ COMMITTED; with `snapshot`, read only and all statements see one moment.
        """
        async with self._pool.acquire(timeout=ACQUIRE_S) as connection:
            tx = Tx(connection)
            mode = {"isolation": "repeatable_read", "readonly": True} if snapshot else {}
            async with connection.transaction(**mode):
                yield tx
                if tx.before_commit:
                    await tx.before_commit(tx)
        for name in tx.wakes:
            self.ring(name)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Tx]:
        """Give a connection for reads; each statement sees its own moment. Cheapest for one."""
        async with self._pool.acquire(timeout=ACQUIRE_S) as connection:
            try:
                yield Tx(connection)
            except Problem:
                raise
            except BaseException:
                await _end_statement(connection)
                raise

    async def answers(self) -> bool:
        """Tell whether the database answers at the moment."""
        try:
            async with asyncio.timeout(ACQUIRE_S), self.reading() as tx:
                return bool(await tx.fetchval("select true"))
        except Exception:
            return False

    def bell(self, name: str) -> asyncio.Event:
        """Give the event that `Tx.wake(name)` sets; for the one who answers that bell."""
        return self._bells.setdefault(name, asyncio.Event())

    @contextmanager
    def listening(self, name: str, event: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """Give an event of one's own that `Tx.wake(name)` sets, for one of many who listen."""
        own = event or asyncio.Event()
        listeners = self._listeners.setdefault(name, set())
        listeners.add(own)
        try:
            yield own
        finally:
            listeners.discard(own)

    def ring(self, name: str, but: asyncio.Event | None = None) -> None:
        """Set the events of all who wait for `name`, but one."""
        self.bell(name).set()
        for event in self._listeners.get(name, ()):
            if event is not but:
                event.set()

    async def migrate(self, *packages: str) -> None:
        """Apply ``<package>/schema/*.sql`` in order, each once, forward only.

        Raises RuntimeError when a file that was applied has been changed since.
        """
        async with self.transaction() as tx:
            await tx.execute("set local statement_timeout = 0")
            await tx.execute("set local transaction_timeout = 0")
            await tx.execute("set local lock_timeout = '60s'")
            await tx.execute("select pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            await tx.execute(
                "create table if not exists migrations (name text primary key, "
                "checksum bytea not null, applied_at timestamptz not null default now())"
            )
            rows = await tx.fetch("select name, checksum from migrations")
            done = {row["name"]: row["checksum"] for row in rows}
            for name, text in _schema_files(packages):
                checksum = hashlib.sha256(text.encode()).digest()
                if name not in done:
                    await tx.execute(text)
                    await tx.execute(
                        "insert into migrations (name, checksum) values ($1, $2)", name, checksum
                    )
                elif done[name] != checksum:
                    raise RuntimeError(f"{name} was applied and has changed since; add a new file.")

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` for ever, in one process at a time among all that call this here."""
        while True:  # whoever does not lead asks again, and so takes over from one that died
            try:
                await self._lead_once(work)
            except Exception as error:
                log.warning("leadership lost", error=repr(error))
            await asyncio.sleep(RETRY_S)

    async def _lead_once(self, work: Callable[[], Awaitable[None]]) -> None:
        connection = await asyncpg.connect(
            self._dsn, timeout=10, server_settings={"application_name": "merkato leader"}
        )
        try:
            if not await connection.fetchval("select pg_try_advisory_lock($1)", LEADER_LOCK):
                return
            working = asyncio.ensure_future(work())
            try:
                while not working.done():
                    await connection.fetchval("select 1", timeout=ALIVE_S)
                    await asyncio.wait([working], timeout=ALIVE_S)
                working.result()
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        finally:
            connection.terminate()


def _schema_files(packages: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for package in packages:
        folder = files(package).joinpath("schema")
        names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
        found += [(f"{package}/{name}", folder.joinpath(name).read_text()) for name in names]
    return found


@asynccontextmanager
async def connected(dsn: str, *, pool_max: int = 10) -> AsyncIterator[Database]:
    """Open a pool on `dsn`."""
    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=pool_max,
        max_inactive_connection_lifetime=300,
        timeout=10,
        server_settings=SETTINGS,
        init=_set_codecs,
        reset=_keep_session,
    )
    try:
        yield Database(pool, dsn)
    finally:
        pool.terminate()


async def _end_statement(connection: asyncpg.Connection) -> None:
    """End what a statement left off began, before another gets this connection.

    A new statement is parsed and then run. Given up in between, by a cancellation or for a value
    that cannot be encoded, it leaves a transaction at the server of which the client knows nothing.
    """
    try:
        await connection.execute("", timeout=ACQUIRE_S)  # a statement in one message ends it
    except BaseException as error:
        connection.terminate()  # it is of no use to anybody; the pool makes another
        if not isinstance(error, Exception):
            raise


async def _keep_session(_: asyncpg.Connection) -> None:
    """Save the round trip of a reset: no session state is ever set."""


async def _set_codecs(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=_encode, decoder=msgspec.json.decode
        )


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()
