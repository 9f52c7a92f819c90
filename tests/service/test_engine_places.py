"""Where PostgreSQL and NATS may stand, and what is said where they cannot."""

import os
import socket
import stat
import subprocess

import asyncpg
import pytest

from merkato.chassis import supervisor
from merkato.chassis.engines import binaries, ports, postgres
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import start
from merkato.chassis.supervisor import CannotStart, Supervisor

PAIR = ("orders", "payments")


async def fetch(dsn, sql):
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def value(dsn, sql):
    return (await fetch(dsn, sql))[0][0]


# What they refuse, in a sentence that says what to do.


async def begin(home, services=PAIR):
    async with Supervisor(home / "run") as running:
        return await start(running, home, services)


async def test_data_of_another_major_version(home):
    await begin(home)
    (home / "postgres/PG_VERSION").write_text("17\n")
    with pytest.raises(CannotStart, match=r"written by PostgreSQL 17, and this is 18.*pg_dump"):
        await begin(home)


def test_a_folder_with_other_things(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CannotStart, match=r"other things than a shop's data.*MERKATO_HOME"):
        Home(tmp_path).open()
    assert [one.name for one in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_holds_a_configuration_only_is_ours(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    Home(tmp_path).open()


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match="cannot be used"):
        Home(tmp_path / "file" / "home").open()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_folder_of_somebody_else(tmp_path):
    place = Home(tmp_path / "home")
    place.open()
    place.secrets(PAIR)
    os.chown(place.secrets_file, 65534, 65534)
    with pytest.raises(CannotStart, match=r"belongs to \w+; run as"):
        place.open()


def test_damaged_secrets(tmp_path):
    place = Home(tmp_path)
    place.open()
    place.secrets_file.write_text("{")
    with pytest.raises(CannotStart, match="is damaged"):
        place.secrets(PAIR)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk):
    with pytest.raises(CannotStart, match=r"is full \(\d+ MB free, 200 MB needed\); make room"):
        Home(small_disk / "home").open()


def test_why_postgres_ended_is_read_from_its_log():
    full = 'PANIC:  could not write to file "pg_wal/xlogtemp.9": No space left on device'
    assert "disk is full" in postgres._reason(full)
    assert postgres._reason("FATAL:  lock file exists\nLOG:  bye") == "lock file exists"


def test_a_taken_port_is_told_with_its_holder():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"Port {port} is taken by .*\b{os.getpid()}\b"):
            ports.claim(port)
    ports.claim(port)


async def test_a_remembered_port_that_is_taken_is_replaced(home):
    first = await begin(home)
    port = Home(home).ports()["postgres"]
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        second = await begin(home)
    assert first.admin_dsn != second.admin_dsn
    assert Home(home).ports()["postgres"] != port


def test_a_platform_without_packages(monkeypatch):
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(binaries, "_nats_candidates", list)
    with pytest.raises(CannotStart, match=r"no PostgreSQL 18 for Linux|Darwin.*DATABASE_URL"):
        binaries.postgres()
    with pytest.raises(CannotStart, match=r"no nats-server 2.15 or newer.*NATS_URL"):
        binaries.nats()


def test_an_old_nats_server_is_no_candidate(tmp_path):
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.9.10\n")
    old.chmod(0o755)
    assert not binaries._new_enough(old)
    assert binaries._new_enough(binaries.nats())


# Where they stand.


as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root runs PostgreSQL as another account"
)


@as_root
@pytest.mark.parametrize("closed", [True, False], ids=["under a closed folder", "reachable"])
async def test_root_runs_postgres_as_an_account_that_reaches_its_data(home, closed):
    mode = 0o700 if closed else 0o755
    home.chmod(mode)
    shop = home / "shop"
    async with Supervisor(shop / "run") as running:
        made = await start(running, shop, PAIR)
        pids = {one.name: one.pid for one in supervisor.state(shop / "run").children}
        assert os.stat(f"/proc/{pids['postgres']}").st_uid != 0
        assert await value(made.database_urls["orders"], "select 1") == 1
    assert (shop / "postgres").is_symlink() == closed
    assert stat.S_IMODE((shop / "postgres").stat().st_mode) == 0o700
    assert stat.S_IMODE(home.stat().st_mode) == mode


@as_root
async def test_data_follow_when_a_folder_above_is_closed(home):
    home.chmod(0o755)
    shop = home / "shop"
    async with Supervisor(shop / "run") as running:
        made = await start(running, shop, PAIR)
        await fetch(made.database_urls["orders"], "create table kept as select 42 as answer")
    home.chmod(0o700)
    async with Supervisor(shop / "run") as running:
        made = await start(running, shop, PAIR)
        assert await value(made.database_urls["orders"], "select answer from kept") == 42
    assert (shop / "postgres").is_symlink()


@as_root
def test_programs_nobody_else_can_reach_are_copied(tmp_path):
    account = postgres._account()
    package = binaries.postgres().parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        subprocess.run(["cp", "-rp", part, tmp_path], check=True)
    closed = tmp_path / package.name / binaries.postgres().name
    elsewhere = postgres._reachable_programs(closed, account)
    assert elsewhere.is_relative_to("/var/lib/merkato")
    for program in ("postgres", "initdb"):  # initdb needs a library that stands beside the package
        told = subprocess.run(
            [elsewhere / "bin" / program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "PostgreSQL) 18" in told.stdout


async def test_a_home_with_a_long_path(home):
    deep = home / ("long" * 30) / ("path" * 30)
    deep.parent.mkdir(parents=True)
    home.chmod(0o755)
    deep.parent.chmod(0o755)
    made = await begin(deep)
    assert made.database_urls


async def test_a_first_start_cut_short_is_begun_again(home):
    place = Home(home)
    place.open()
    (home / "postgres.partial").mkdir()
    (home / "postgres.partial/PG_VERSION").write_text("18")
    made = await begin(home)
    assert made.database_urls


async def test_engines_that_were_brought_are_provisioned_and_not_started(engines, home):
    async with Supervisor(home / "run") as running:
        made = await start(
            running, home, ("visitor",), database_url=engines.admin_dsn, nats_url=engines.nats_url
        )
        assert supervisor.state(home / "run").children == []
        assert (
            await value(made.database_urls["visitor"], "select current_user") == "merkato_visitor"
        )
        everybody = {"visitor": engines.nats_url, "gateway": engines.nats_url}
        assert made.nats_urls == everybody
    # The audit's role is the server's, so this home gave it another password; others use it still.
    connection = await asyncpg.connect(engines.admin_dsn)
    await connection.execute(
        f"alter role merkato_audit password '{engines.secrets.postgres['audit']}'"
    )
    await connection.close()


async def test_a_server_that_is_not_there_is_told(home):
    async with Supervisor(home / "run") as running:
        with pytest.raises(CannotStart, match=r"cannot be reached.*DATABASE_URL"):
            await start(
                running,
                home,
                PAIR,
                database_url="postgresql://x:y@127.0.0.1:9/z",
                nats_url="nats://",
            )
