"""The OpenAPI document says what is served, and nothing else."""

import inspect
import re
import time
from typing import Annotated, get_args

import jsonschema_rs
import msgspec
import pytest
from litestar import Response, get
from schemathesis.specs.openapi.definitions import OPENAPI_31

from merkato import config, topology
from merkato.chassis import description
from merkato.chassis.http import ANYONE, SERVICE, policies, staff
from merkato.contracts.problem import Problem
from merkato.gateway.documents import openapi

SERVICES = dict(sorted(topology.services(config.Config(here=("gateway",))).items()))
DOCUMENT = openapi.document(SERVICES)
OPERATIONS = openapi.described(SERVICES)


def test_the_document_is_openapi():
    jsonschema_rs.validator_for(OPENAPI_31).validate(DOCUMENT)
    targets = set(re.findall(r'"\$ref":"#/([^"]+)"', msgspec.json.encode(DOCUMENT).decode()))
    assert len(targets) > 100
    for target in targets:
        found = DOCUMENT
        for part in target.split("/"):
            found = found[part]


def test_what_is_served_is_documented_and_the_other_way_round():
    served = {
        (method, re.sub(r":[a-z]+\}", "}", path))
        for service in SERVICES.values()
        for (method, path), policy in policies(service.routes).items()
        if policy != SERVICE and method != "OPTIONS"
    }
    documented = {
        (method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        if path not in openapi.OWN_PATHS
        for method in methods
    }
    assert served == documented
    assert len(served) > 60


def bare(document):
    """Name every answer that is JSON and has no schema, or one that allows anything."""
    found = []
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            for status, response in one["responses"].items():
                for kind, content in response.get("content", {}).items():
                    if description.is_json(kind) and not content.get("schema"):
                        found.append(f"{method} {path}: {status} {kind}")
    return found


def test_no_json_is_answered_without_a_schema():
    assert bare(DOCUMENT) == []


def test_a_route_that_does_not_say_what_it_answers_is_seen():
    @get("/api/v1/odd", policy=ANYONE)
    async def odd() -> Response[bytes]:
        """Answer something."""

    service = msgspec.structs.replace(SERVICES["orders"], routes=(odd,))
    assert bare(openapi.document({"orders": service})) == ["get /api/v1/odd: 200 application/json"]


def unchecked(hint):
    """Name limits of msgspec in an annotation."""
    parts = get_args(hint)
    own = [one for one in parts if isinstance(one, msgspec.Meta)]
    return own + [meta for part in parts for meta in unchecked(part)]


def test_limits_of_queries_are_those_that_the_framework_checks():
    """It looks past `Meta` outside of bodies, but the document shows it; `Parameter` it obeys."""
    found = [
        (route.paths, name)
        for service in SERVICES.values()
        for route in service.routes
        for name, one in inspect.signature(inspect.unwrap(route.fn)).parameters.items()
        if name != "data" and unchecked(one.annotation)
    ]
    assert found == []
    assert unchecked(Annotated[str, msgspec.Meta(pattern="x")] | None)


def test_no_two_paths_are_told_apart_by_the_names_of_their_parameters():
    """They would be one path to every reader of the document (OpenAPI 3.1, 4.8.8)."""
    shapes = [re.sub(r"\{\w+\}", "{}", path) for path in DOCUMENT["paths"]]
    assert len(shapes) == len(set(shapes))


def test_ids_of_operations_are_unique():
    ids = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_an_operation_is_described(one):
    shown = DOCUMENT["paths"][one.path][one.method.lower()]
    assert shown["summary"]
    for kind, form in one.reads.items():
        if form is None:
            continue
        body = msgspec.json.encode(shown["requestBody"]["content"][kind]["example"])
        try:
            msgspec.json.decode(body, type=form)
        except msgspec.ValidationError as wrong:
            raise AssertionError(f"{wrong}: give it an example={{…}} in its decorator") from wrong
    in_path = set(re.findall(r"\{(\w+)\}", one.path))
    assert {given.name for given in one.given if given.place == "path"} == in_path


class Odd(Problem):
    """Something odd."""

    slug, status, title = "odd", 409, "Odd"


class Desk:
    async def work(self):
        self._deeper()

    def _deeper(self):
        def inmost():
            raise Odd("odd")

        inmost()


def test_problems_are_found_where_they_are_raised(monkeypatch):
    from litestar import post

    for thing in (Odd, Desk, Desk.work, Desk._deeper):
        monkeypatch.setattr(thing, "__module__", "merkato.orders.http")

    @post("/api/v1/odd/{name:str}", policy=staff("orders:write"))
    async def odd(name: str, desk: Desk) -> dict[str, int]:
        """Do something odd."""
        await desk.work()
        return {}

    monkeypatch.setattr(odd.fn, "__module__", "merkato.orders.http")
    [found] = description.operations("orders", [odd])
    slugs = {kind.slug for kind in found.problems}
    assert {"odd", "forbidden", "unauthenticated", "not-found", "payload-too-large"} <= slugs
    assert "out-of-stock" not in slugs
    assert found.path == "/api/v1/odd/{name}"


def patterns(part):
    """Every pattern of a schema."""
    if isinstance(part, dict):
        own = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
        return own + [one for value in part.values() for one in patterns(value)]
    return [one for each in part for one in patterns(each)] if isinstance(part, list) else []


EVIL = [
    *(one * 10_000 for one in ("a", "A", "0", "-", ".", "a-", "a.", "aA0", " ", "/", "@", ":")),
    "a" * 10_000 + "!", "a@" + "a." * 5_000 + "@", "-" * 5_000 + "A", "/" + "a" * 9_000 + "\n",
]  # fmt: skip


def test_no_pattern_takes_long_over_any_text():
    found = set(patterns(DOCUMENT))
    assert len(found) > 15
    for pattern in found:
        for text in EVIL:
            began = time.perf_counter()
            re.search(pattern, text)
            assert time.perf_counter() - began < 0.05, (pattern, text[:20])
