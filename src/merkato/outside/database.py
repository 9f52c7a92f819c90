"""A SQLite file on the event loop; writes made in the same turn of the loop share one commit."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parent / "schema"


class Database:
    """One file, one connection, one event loop.

    What is written is seen by the next read at once, and is in the file when `committed` returns:
    it then survives the end of the process (`kill -9`), not the loss of power, since a commit in
    WAL mode at `synchronous = normal` is a write without an fsync.
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript((SCHEMA / schema).read_text("utf-8"))
        self._commit: asyncio.Future[None] | None = None

    def run(self, statement: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Write; the commit follows in the next turn of the loop."""
        self._begin()
        return self._connection.execute(statement, parameters)

    def run_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Write one statement for each row."""
        self._begin()
        self._connection.executemany(statement, rows)

    def ask(self, statement: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Read, what is not yet committed included."""
        return self._connection.execute(statement, parameters)

    async def committed(self) -> None:
        """Return once all written so far is in the file. Raises sqlite3.Error if it is not."""
        if self._commit is not None:
            await asyncio.shield(self._commit)

    def close(self) -> None:
        """Commit what is open and close the file."""
        if self._commit is not None:
            self._end(self._commit)
        self._connection.close()

    def _begin(self) -> None:
        if self._commit is None:
            self._connection.execute("begin immediate")
            loop = asyncio.get_running_loop()
            self._commit = loop.create_future()
            loop.call_soon(self._end, self._commit)

    def _end(self, commit: asyncio.Future[None]) -> None:
        if commit is not self._commit:
            return  # closed meanwhile
        self._commit = None
        try:
            self._connection.execute("commit")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            commit.set_exception(error)
        else:
            commit.set_result(None)
