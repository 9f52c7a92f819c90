"""PostgreSQL and NATS as we start them: what they keep, whom they let in, what they refuse."""

import asyncio
import json
import os
import signal
import stat

import asyncpg
import nats
import pytest
from nats.errors import NoServersError
from nats.js.api import StreamConfig

from merkato.chassis import supervisor
from merkato.chassis.engines import fullness, postgres
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import start
from merkato.chassis.supervisor import Supervisor

PAIR = ("orders", "payments")


async def until(condition, within_s=20.0):
    for _ in range(int(within_s / 0.05)):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def fetch(dsn, sql):
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def value(dsn, sql):
    return (await fetch(dsn, sql))[0][0]


# What they keep.


async def test_data_survive_stop_and_start(home):
    async with Supervisor(home / "run") as running:
        first = await start(running, home, PAIR)
        await fetch(first.database_urls["orders"], "create table kept as select 42 as answer")
        client = await nats.connect(first.nats_url)
        await client.jetstream().add_stream(StreamConfig(name="kept", subjects=["orders.>"]))
        await client.jetstream().publish("orders.placed", b"one")
        await client.close()
    async with Supervisor(home / "run") as running:
        second = await start(running, home, PAIR)
        assert second.database_urls == first.database_urls
        assert await value(second.database_urls["orders"], "select answer from kept") == 42
        (stream,) = await fullness.streams(second.nats_url)
        assert (stream.name, stream.messages) == ("kept", 1)
        assert set(await fullness.databases(second.admin_dsn)) == {
            "merkato_orders",
            "merkato_payments",
        }


async def test_starting_with_one_more_service_gives_it_what_the_others_have(home):
    async with Supervisor(home / "run") as running:
        first = await start(running, home, ("orders",))
    async with Supervisor(home / "run") as running:
        second = await start(running, home, PAIR)
        assert await value(second.database_urls["payments"], "select 1") == 1
    assert second.secrets.signing["orders"] == first.secrets.signing["orders"]
    assert set(second.secrets.signing) == set(PAIR)


@pytest.mark.parametrize("name", ["postgres", "nats"])
async def test_a_killed_engine_is_started_again(home, name):
    async with Supervisor(home / "run") as running:
        made = await start(running, home, PAIR)
        await fetch(made.database_urls["orders"], "create table kept as select 42 as answer")
        before = {one.name: one.pid for one in supervisor.state(home / "run").children}
        os.kill(before[name], signal.SIGKILL)

        async def back():
            (one,) = [o for o in supervisor.state(home / "run").children if o.name == name]
            return one.pid not in {0, before[name]} and one.state == "running"

        await until(back)
        assert await value(made.database_urls["orders"], "select answer from kept") == 42
        client = await nats.connect(made.nats_url)
        await client.close()


async def test_the_settings_that_durability_rests_on(engines):
    asked = {
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_sync_retry": "off",
        "wal_level": "replica",
        "data_checksums": "on",
        "deadlock_timeout": "200ms",
        "listen_addresses": "127.0.0.1",
        "password_encryption": "scram-sha-256",
    }
    for name, wanted in asked.items():
        assert await value(engines.admin_dsn, f"show {name}") == wanted, name
    assert postgres._SETTINGS["fsync"] == "on"  # this server alone runs without, for tests


async def test_nats_writes_through_before_it_acknowledges(home):
    async with Supervisor(home / "run") as running:
        await start(running, home, PAIR)
        written = json.loads((home / "run/nats.conf").read_text())
    assert written["jetstream"]["sync_interval"] == "always"


async def test_text_is_compared_by_code_point_and_folded_by_unicode(engines):
    assert await value(engines.admin_dsn, "select lower('ÅÉÑ')") == "åéñ"
    assert await value(engines.admin_dsn, "select 'Z' < 'a'")


# Whom they let in.


async def test_a_service_connects_to_its_own_database_only(engines):
    own = engines.database_urls["orders"]
    assert await value(own, "select current_user || '@' || current_database()") == (
        "merkato_orders@merkato_orders"
    )
    for other in ("merkato_payments", "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await value(own.rpartition("/")[0] + f"/{other}", "select 1")


async def test_a_service_is_no_administrator(engines):
    for statement in ("create role intruder", "create database intruder", "alter system reset all"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fetch(engines.database_urls["orders"], statement)


async def test_the_audit_reads_everywhere_and_writes_nowhere(engines, new_database):
    await fetch(engines.database_urls["orders"], "create table if not exists seen as select 1 as n")
    assert await value(engines.audit_urls["orders"], "select count(*) from seen") == 1
    connection = await asyncpg.connect(engines.audit_urls["orders"])
    await connection.execute("set default_transaction_read_only = off")
    for statement in ("insert into seen values (2)", "create table public.planted (n int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_a_wrong_password_is_refused(engines):
    password = engines.secrets.postgres["orders"]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await value(engines.database_urls["orders"].replace(password, "guessed"), "select 1")


async def refusals(url, act):
    """Give what the server complains about while `act` does something with a connection."""
    heard = []

    async def on_error(error):
        heard.append(str(error))

    client = await nats.connect(
        url, error_cb=on_error, allow_reconnect=False, inbox_prefix="_INBOX_orders"
    )
    try:
        await act(client)
        await client.flush()
        await asyncio.sleep(0.1)
    finally:
        await client.close()
    return " ".join(heard).lower()


@pytest.mark.parametrize(
    "subject",
    [
        "payments.payment_captured.v1.3",
        "$JS.API.STREAM.DELETE.events",
        "$JS.API.STREAM.PURGE.events",
        "$JS.API.STREAM.MSG.DELETE.events",
        "_INBOX_payments.answer",
    ],
)
async def test_a_service_cannot_publish_where_it_must_not(engines, subject):
    said = await refusals(engines.nats_urls["orders"], lambda client: client.publish(subject, b"x"))
    assert "permissions violation for publish" in said


async def test_a_service_publishes_its_own_events(engines):
    async def act(client):
        await client.publish("orders.order_placed.v1.3", b"x")

    assert await refusals(engines.nats_urls["orders"], act) == ""


@pytest.mark.parametrize("subject", [">", "payments.>", "_INBOX.>", "_INBOX_payments.>"])
async def test_a_service_cannot_listen_to_others(engines, subject):
    said = await refusals(engines.nats_urls["orders"], lambda client: client.subscribe(subject))
    assert "permissions violation for subscription" in said


async def test_nobody_enters_nats_without_a_password(engines):
    async def quiet(error):
        assert error

    place = engines.nats_url.rpartition("@")[2]
    with pytest.raises((NoServersError, nats.errors.Error)):
        await nats.connect(f"nats://{place}", allow_reconnect=False, error_cb=quiet)


async def test_secrets_are_readable_by_us_alone_and_do_not_print(home):
    place = Home(home)
    place.open()
    kept = place.secrets(PAIR)
    assert stat.S_IMODE(place.secrets_file.stat().st_mode) == 0o600
    assert place.secrets(PAIR) == kept
    assert kept.postgres["orders"] not in repr(kept)
    assert kept.signing["orders"]["kid"] != kept.signing["payments"]["kid"]


# What tests stand on.


async def test_a_template_is_prepared_once_and_copied(new_database):
    one = await new_database("orders", prepare=with_a_table)
    two = await new_database("orders", prepare=with_a_table)
    await fetch(one, "insert into drawn values (2)")
    assert await value(one, "select count(*) from drawn") == 2
    assert await value(two, "select count(*) from drawn") == 1
    assert PREPARED == ["once"]


PREPARED = []


async def with_a_table(dsn):
    PREPARED.append("once")
    await fetch(dsn, "create table drawn as select 1 as n")
