"""The reference pages are complete: held against databases, structs and routes."""

import re
from pathlib import Path

import asyncpg
import harness
import msgspec
import pytest

from merkato import config, topology
from merkato.chassis.http import policies
from merkato.gateway import pages

REFERENCE = Path(__file__).parents[2] / "docs/reference"
SERVICES = topology.services(config.Config(here=("gateway",)))
COLUMNS = """
select c.table_name, c.column_name from information_schema.columns c
  join pg_class t on t.oid = format('public.%I', c.table_name)::regclass
 where c.table_schema = 'public' and t.relkind in ('r', 'p') and not t.relispartition
   and c.table_name <> 'migrations'
"""


def shown_columns():
    """{(service, table, column)} of tables.md; those of the frame belong to `chassis`."""
    found, place = set(), ("", "")
    for line in (REFERENCE / "tables.md").read_text().splitlines():
        if head := re.fullmatch(r"### (\w+): (\w+)", line):
            place = head.groups()
        elif row := re.match(r"\| `(\w+)` \|", line):
            found.add((*place, row[1]))
    return found


@pytest.mark.parametrize("service", config.SERVICES)
async def test_every_column_of_every_database_is_shown(service, new_database):
    dsn = await new_database(service, prepare=harness.preparation(service))
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(COLUMNS)
    finally:
        await connection.close()
    kept = {(row["table_name"], row["column_name"]) for row in rows}
    shown = {(table, column) for name, table, column in shown_columns() if name == service}
    frame = {(table, column) for name, table, column in shown_columns() if name == "chassis"}
    assert kept - shown - frame == set()
    assert shown - kept == set(), "shown, but no longer there"
    assert len(shown) > 10


def test_every_setting_is_shown():
    text = (REFERENCE / "configuration.md").read_text()

    def check(struct):
        for field in msgspec.structs.fields(struct):
            inner = field.type
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                check(inner)
            else:
                line = re.search(rf"^\| `{field.name}` \|.*\| (.*) \|$", text, re.M)
                assert line, f"{struct.__name__}.{field.name}"
                assert line[1].strip(), f"{struct.__name__}.{field.name} has no meaning"

    check(config.Config)


def test_every_route_is_shown():
    text = (REFERENCE / "routes.md").read_text()
    for service in SERVICES.values():
        for method, path in policies(service.routes):
            if method != "OPTIONS":
                bare = re.sub(r":[a-z]+\}", "}", path)
                assert f"| {method} | `{bare}` |" in text, (method, path)


def test_every_event_and_every_problem_is_shown():
    events = (REFERENCE / "events.md").read_text()
    for service in SERVICES.values():
        for kind in service.says:
            assert f"| `{kind.type}` |" in events
    problems = (REFERENCE / "problems.md").read_text()
    for slug, kind in pages.problem_kinds().items():
        if kind.__module__.startswith("merkato."):
            assert f"| `{slug}` | {kind.status} |" in problems


def test_every_command_is_shown():
    text = (REFERENCE / "command-line.md").read_text()
    folder = Path(config.__file__).parent / "cli"
    named = set(re.findall(r"^## merkato ([a-z-]+)$", text, re.M))
    apart = {"places", "plan", "probe", "api_key", "__init__"}  # no commands
    files = {file.stem for file in folder.glob("*.py")} - apart
    words = {name.removesuffix("_file").replace("_", "-") for name in files}
    assert words <= named, words - named
