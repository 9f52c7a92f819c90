"""Every route says who may call it, and has one place."""

from inspect import signature

import pytest
from litestar import get

from merkato import config, topology
from merkato.chassis.http import ANYONE, SERVICE, SIGNED, USER, policies
from merkato.contracts.permissions import ADMIN
from merkato.gateway import routing

SERVICES = topology.services(config.Config(here=("gateway",)))


@pytest.mark.parametrize("name", SERVICES)
def test_every_route_declares_a_policy_that_exists(name):
    declared = policies(SERVICES[name].routes)
    assert declared
    for place, policy in declared.items():
        kind, _, permission = policy.partition(":")
        assert kind in {ANYONE, USER, SERVICE, SIGNED, "staff"}, place
        assert kind != "staff" or permission in ADMIN, f"{place}: nobody has {permission}"


@pytest.mark.parametrize("name", SERVICES)
def test_whatever_staff_change_knows_who_changes_it(name):
    """Without its caller a route could not note in the audit trail who it was."""
    for route in SERVICES[name].routes:
        by_staff = str(route.opt["policy"]).startswith("staff:")
        looks = "GET" in route.http_methods or all(
            path.endswith("/preview") for path in route.paths
        )
        assert looks or not by_staff or "caller" in signature(route.fn).parameters, route.paths


def test_a_route_without_a_policy_is_refused():
    @get("/api/v1/open")
    async def nobody_said_who() -> None:
        """Answer nothing."""

    with pytest.raises(ValueError, match="declares no policy"):
        policies([nobody_said_who])


def test_every_route_is_found_by_its_prefix_and_by_one_service():
    table = routing.prefixes(SERVICES)
    for name, service in SERVICES.items():
        for _, path in policies(service.routes):
            assert routing.find(table, path) == name, path
