"""pgbench on the same server: what PostgreSQL itself does with one order per transaction.

Once with eleven round trips, as a program that goes statement by statement, and once with one
statement that does the same work. 32 clients, prepared statements, 1,000 skus, two lines an order.
"""

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from merkato.chassis.engines import binaries
from merkato.chassis.supervisor import CannotStart

CLIENTS = 32
SKUS = 1_000
DATABASE = "bench_pgbench"

SCHEMA = """
create table stock (sku int primary key, on_hand int not null, reserved int not null default 0,
    check (reserved between 0 and on_hand)) with (fillfactor = 50);
create table offers (sku int primary key, price int not null, title text not null);
create table reservations (order_id uuid primary key, state text not null, at timestamptz not null);
create table orders (id uuid primary key, customer int not null, key text not null, status text not null,
    total int not null, contact jsonb not null, placed_at timestamptz not null, unique (customer, key));
create index on orders (customer, placed_at desc);
create table order_lines (order_id uuid references orders, line_no int, sku int not null, quantity int not null,
    price int not null, title text not null, primary key (order_id, line_no));
create table timeline (order_id uuid references orders, n int, what text not null, at timestamptz not null,
    primary key (order_id, n));
create table outbox (seq bigint generated always as identity primary key, id uuid not null unique,
    type text not null, key text not null, body text not null, published_at timestamptz);
create index on outbox (seq) where published_at is null;
insert into stock select n, 1000000000 from generate_series(1, 1000) n;
insert into offers select n, 500 + n, 'Thing ' || n from generate_series(1, 1000) n;
"""  # noqa: E501

DICE = r"""
\set a random(1, 999)
\set b random(:a + 1, 1000)
\set customer random(1, 1000)
\set x random(1, 1000000000)
\set y random(1, 1000000000)
"""
ORDER = "md5(:x || '.' || :y || '.' || :client_id)::uuid"
CONTACT = (
    """'{"email": "ada@bench.example", "city": "Berlin", "lines": ["1 Measure Road"]}'::jsonb"""
)

ELEVEN = f"""{DICE}
begin;
select sku, price, title from offers where sku in (:a, :b);
update stock set reserved = reserved + 1 where sku = :a and on_hand - reserved >= 1;
update stock set reserved = reserved + 1 where sku = :b and on_hand - reserved >= 1;
insert into reservations values ({ORDER}, 'held', now());
insert into orders values ({ORDER}, :customer, :x || '-' || :y, 'placed', 1000, {CONTACT}, now());
insert into order_lines values ({ORDER}, 1, :a, 1, 500, 'Thing');
insert into order_lines values ({ORDER}, 2, :b, 1, 500, 'Thing');
insert into timeline values ({ORDER}, 1, 'placed', now());
insert into outbox (id, type, key, body)
    values ({ORDER}, 'order_placed', :customer, repeat('order ', 150));
commit;
"""

ONE = f"""{DICE}
with given as (select {ORDER} as id),
shelf as (select sku, price, title from offers where sku in (:a, :b)),
held as (update stock set reserved = reserved + 1 where sku in (:a, :b) and on_hand - reserved >= 1
         returning sku),
reserved as (insert into reservations select id, 'held', now() from given),
placed as (insert into orders
           select id, :customer, :x || '-' || :y, 'placed', 1000, {CONTACT}, now() from given),
lines as (insert into order_lines
          select id, row_number() over (order by sku), sku, 1, price, title from given, shelf),
step as (insert into timeline select id, 1, 'placed', now() from given)
insert into outbox (id, type, key, body)
    select id, 'order_placed', :customer, repeat('order ', 150) from given;
"""


def _program() -> str | None:
    try:
        carried = binaries.postgres() / "bin" / "pgbench"
    except CannotStart:
        return shutil.which("pgbench")
    return str(carried) if os.access(carried, os.X_OK) else shutil.which("pgbench")


async def measure(admin_dsn: str, seconds: int) -> dict[str, float] | None:
    """Give transactions per second of both forms, or None where there is no pgbench."""
    program = _program()
    if program is None:
        return None
    await _recreate(admin_dsn)
    try:
        return {
            "eleven_round_trips": await _run(program, admin_dsn, ELEVEN, seconds),
            "one_statement": await _run(program, admin_dsn, ONE, seconds),
        }
    finally:
        await _drop(admin_dsn)


async def _run(program: str, admin_dsn: str, script: str, seconds: int) -> float:
    parts = urlsplit(admin_dsn)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "order.sql"
        file.write_text(script)
        process = await asyncio.create_subprocess_exec(
            *(program, "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds)),
            *("--max-tries=3", "-f", str(file), "-h", str(parts.hostname), "-p", str(parts.port)),
            *("-U", str(parts.username), DATABASE),
            env={"PGPASSWORD": parts.password or "", "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told = (await process.communicate())[0].decode()
    found = re.search(r"^tps = ([\d.]+)", told, re.M)
    if process.returncode != 0 or found is None:
        raise SystemExit(f"pgbench failed:\n{told}")
    return float(found[1])


async def _recreate(admin_dsn: str) -> None:
    await _drop(admin_dsn)
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute(f"create database {DATABASE}")
    await connection.close()
    connection = await asyncpg.connect(admin_dsn, database=DATABASE)
    await connection.execute(SCHEMA)
    await connection.execute("vacuum analyze")
    await connection.close()


async def _drop(admin_dsn: str) -> None:
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute(f"drop database if exists {DATABASE} with (force)")
    await connection.close()
