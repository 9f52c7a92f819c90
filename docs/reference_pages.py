"""The reference pages that are made from the code, as text by file name below docs/reference."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from merkato import cli, topology
from merkato.chassis import http
from merkato.chassis.service import Service
from merkato.config import Config
from merkato.contracts.event import Event
from merkato.gateway import pages
from merkato.gateway.documents import asyncapi, collection, openapi

SOURCE = Path(__file__).parents[1] / "src/merkato"
NOTE = "Made from the code by `make fix`; do not edit.\n"
WHO = {
    http.ANYONE: "anyone",
    http.USER: "who has logged in",
    http.SERVICE: "services only",
    http.SIGNED: "who signs the body",
}
CREATE = re.compile(
    r"create (?:unlogged )?table (?:if not exists )?(\w+) \((?:  ?--([^\n]*))?\n(.*?)\n\)", re.S
)
ADD = re.compile(r"alter table (?:only )?(\w+)\s+(.*?);", re.S)
COLUMN = re.compile(r"^ {4}(?:add column )?([a-z_]+)\s+(.+?),?\s*(?:-- ?(.*))?$")
ADDS = "add column"
NOT_COLUMNS = {"primary", "unique", "check", "constraint", "foreign", "exclude"}


def services() -> dict[str, Service]:
    """Give every service, whether or not a process would run it."""
    return dict(sorted(topology.services(Config(here=("gateway",))).items()))


def made() -> dict[str, str]:
    """Make every page."""
    every = services()
    whole = openapi.document(every)
    found = {
        "routes.md": routes(every),
        "events.md": events(every),
        "problems.md": problems(every),
        "tables.md": tables(every),
        "command-line.md": command_line(),
    }
    for name in every:
        found[f"openapi/{name}.json"] = _json(openapi.fragment(whole, name))
    rest = {name: part for name, part in whole.items() if name not in ("paths", "components")}
    shared = {name: part for name, part in whole["components"].items() if name != "schemas"}
    own = openapi.fragment(whole, "gateway")
    found["asyncapi.json"] = _json(asyncapi.document(every))
    found["merkato.postman_collection.json"] = _json(collection.collection(whole))
    found["openapi/gateway.json"] = _json({**rest, "components": shared, **own})
    return found


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n"


def routes(every: Mapping[str, Service]) -> str:
    """List what each service answers, and to whom."""
    page = [
        f"# Routes\n\n{NOTE}\nThe whole document is served at `/openapi.json`, to read at `/docs`."
    ]
    for name, service in every.items():
        page.append(f"\n## {name}\n\n| Method | Path | Who | What |\n|---|---|---|---|")
        for one in openapi.operations(name, service.routes):
            who = WHO.get(one.policy) or f"`{one.policy.removeprefix('staff:')}`"
            page.append(f"| {one.method} | `{one.path}` | {who} | {cell(first(one.text))} |")
    page.append("\n## gateway\n\n| Method | Path | Who | What |\n|---|---|---|---|")
    for path, methods in openapi.OWN_PATHS.items():
        page.append(f"| GET | `{path}` | anyone | {cell(methods['get']['summary'])} |")
    return "\n".join(page) + "\n"


def events(every: Mapping[str, Service]) -> str:
    """List what each service says, what of it is public, and who hears it."""
    page = [
        f"# Events\n\n{NOTE}\nFields not named as public never leave the house. Hidden ones, "
        "personal or secret, travel apart and are blanked when due. The document is served at "
        "`/asyncapi.json`, to read at `/docs/events`."
    ]
    heard = defaultdict(list)
    for name, service in every.items():
        for kind in service.hears:
            heard[kind.type].append(name)
    for name, service in every.items():
        if not service.says:
            continue
        page.append(
            f"\n## {name}\n\n| Event | When | Public | Hidden | Heard by |\n|---|---|---|---|---|"
        )
        for kind in sorted(service.says, key=lambda kind: kind.type):
            page.append(
                f"| `{kind.type}` | {cell(first(kind.__doc__))} | {_words(kind.public)} "
                f"| {_words(sorted(kind.hidden_fields()))} | {_hearers(kind, heard[kind.type])} |"
            )
    return "\n".join(page) + "\n"


def _hearers(kind: type[Event], names: Iterable[str]) -> str:
    if kind.type == "users.access_changed.v1":
        return "every service"
    return ", ".join(names) or "–"


def _words(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def problems(every: Mapping[str, Service]) -> str:
    """List every problem, and which services answer it."""
    answered = defaultdict(set)
    for one in openapi.described(every):
        for kind in one.problems:
            answered[kind.slug].add(one.service)
    page = [
        f"# Problems\n\n{NOTE}\nEvery refusal is a problem document (RFC 9457), whose `type` is "
        "`/problems/<slug>`.\n\n| Problem | Status | Title | Meaning | Answered by |\n"
        "|---|---|---|---|---|"
    ]
    # Whoever imports this may have problems of their own: the page lists those of Merkato.
    ours = [
        kind for kind in pages.problem_kinds().values() if kind.__module__.startswith("merkato.")
    ]
    for kind in sorted(ours, key=lambda kind: (kind.status, kind.slug)):
        names = sorted(answered[kind.slug])
        who = "all" if len(names) == len(every) else ", ".join(names) or "–"
        said = cell(first(kind.__doc__))
        page.append(f"| `{kind.slug}` | {kind.status} | {kind.title} | {said} | {who} |")
    return "\n".join(page) + "\n"


def tables(every: Mapping[str, Service]) -> str:
    """List the tables of each service's database, as its migrations leave them."""
    page = [
        f"# Tables\n\n{NOTE}\nEach service has a database of its own, and what the frame keeps "
        "beside its tables."
    ]
    for name in ("chassis", *every):
        found = _tables(SOURCE / name / "schema")
        if not found:
            continue
        page.append(f"\n## {'The frame' if name == 'chassis' else name}")
        for table, (said, columns) in sorted(found.items()):
            page.append(f"\n### {name}: {table}\n")
            page.append(f"{said}\n\n| Column | Type | Meaning |\n|---|---|---|" if said else
                        "| Column | Type | Meaning |\n|---|---|---|")  # fmt: skip
            page += [f"| `{column}` | {kind} | {meaning} |" for column, kind, meaning in columns]
    return "\n".join(page) + "\n"


def _tables(folder: Path) -> dict[str, tuple[str, list[tuple[str, str, str]]]]:
    found: dict[str, tuple[str, list[tuple[str, str, str]]]] = {}
    for file in sorted(folder.glob("*.sql")):
        text = file.read_text()
        for table, said, body in CREATE.findall(text):
            found[table] = (said.strip(), list(_columns(body)))
        for table, body in ADD.findall(text):
            if table in found:
                parts = re.split(r",\s*(?=add column)", body)  # several may stand on one line
                lines = (line for part in parts for line in part.splitlines() if ADDS in line)
                found[table][1].extend(_columns("\n".join("    " + line.strip() for line in lines)))
    return found


def _columns(body: str) -> Iterator[tuple[str, str, str]]:
    for line in body.splitlines():
        match = COLUMN.match(line)
        if match and match[1] not in NOT_COLUMNS:
            yield match[1], cell(f"`{' '.join(match[2].split())}`"), cell(match[3] or "")


def command_line() -> str:
    """Tell what `merkato` can do, as its own help does."""
    text = cli.app.generate_docs(output_format="markdown")
    text = re.sub(r" -m [\w.]+(?= |$)", "", text, flags=re.M)  # how this very process was started
    return text.replace("# merkato\n", f"# Command line\n\n{NOTE}", 1).rstrip() + "\n"


def first(text: Any) -> str:
    """Give the first paragraph of a docstring as one line."""
    return " ".join(str(text or "").split("\n\n")[0].split())


def cell(text: str) -> str:
    """Make text fit a cell of a table."""
    return text.replace("|", "\\|")
