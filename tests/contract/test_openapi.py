"""The OpenAPI document says what is served, and nothing else."""

import re

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from merkato import config, topology
from merkato.chassis import description
from merkato.chassis.http import SERVICE, policies, staff
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


def test_ids_of_operations_are_unique():
    ids = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_an_operation_is_described(one):
    shown = DOCUMENT["paths"][one.path][one.method.lower()]
    assert shown["summary"]
    if one.body is not None and one.takes == "application/json":
        body = msgspec.json.encode(shown["requestBody"]["content"][one.takes]["example"])
        try:
            msgspec.json.decode(body, type=one.body)
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
