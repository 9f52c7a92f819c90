"""What tests share: PostgreSQL and NATS, started once per run, and fresh databases."""

import asyncio
import itertools
import shutil
import tempfile
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from merkato import config
from merkato.chassis.engines import provision
from merkato.chassis.engines.start import start
from merkato.chassis.supervisor import Supervisor


def removed(folder):
    """Remove a folder with homes, and the data that had to be placed outside of it."""
    for link in [*folder.rglob("postgres")]:
        if link.is_symlink():
            shutil.rmtree(link.readlink().parent)
    shutil.rmtree(folder)


@pytest.fixture
def home():
    """An empty folder for one test's own engines."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-"))
    yield folder
    removed(folder)


@pytest.fixture(scope="module")
def module_home():
    """An empty folder for the engines that the tests of one file share."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-"))
    yield folder
    removed(folder)


@pytest_asyncio.fixture(scope="session")
async def engines():
    """Running engines, one pair for the whole run, with a database for every service."""
    folder = Path(tempfile.mkdtemp(prefix="merkato-tests-"))
    async with Supervisor(folder / "run") as supervisor:
        running = await start(supervisor, folder, config.SERVICES)
        connection = await asyncpg.connect(running.admin_dsn)
        # The disk's patience is not what these tests are about: a killed process loses nothing.
        await connection.execute("alter system set fsync = off")
        await connection.execute("select pg_reload_conf()")
        await connection.close()
        yield running
    removed(folder)


@pytest.fixture(scope="session")
def admin_dsn(engines):
    return engines.admin_dsn


@pytest.fixture(scope="session")
def nats_url(engines):
    """NATS, as a user who may do everything."""
    return engines.nats_url


@pytest.fixture(scope="session")
def nats_urls(engines):
    """NATS by service: as a user who says its own events only."""
    return engines.nats_urls


@pytest_asyncio.fixture(scope="session")
async def databases(engines):
    """The factory behind `new_database`; templates live as long as the run."""
    connection = await asyncpg.connect(engines.admin_dsn)
    numbers, templates, turn = itertools.count(1), {}, asyncio.Lock()

    async def copied(template, name, service):
        await connection.execute(
            f"create database {name} owner {provision.role(service)} template {template} "
            "strategy file_copy"  # without fsync 35 ms, against 84 ms for the logged way
        )

    def dsn(service, name):
        password = engines.secrets.postgres[service]
        return provision.dsn(engines.admin_dsn, provision.role(service), password, name)

    async def create(service="orders", prepare=None):
        async with turn:
            template = "template0"
            if prepare is not None:
                if (service, prepare) not in templates:
                    name = f"template_{service}_{next(numbers)}"
                    await copied("template0", name, service)
                    await prepare(dsn(service, name))
                    templates[service, prepare] = name
                template = templates[service, prepare]
            name = f"test_{service}_{next(numbers)}"
            await copied(template, name, service)
            return dsn(service, name)

    yield create
    await connection.close()


@pytest.fixture
def new_database(databases):
    """Make fresh databases: `await new_database("orders", prepare=migrated) -> dsn`.

    Each is owned by the service's role. With `prepare` (an async function of a DSN, which must
    close its connections; a module-level function, as it is the key) the work is done once per run
    in a template, and copied.
    """
    return databases
