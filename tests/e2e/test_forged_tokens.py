"""Forged tokens at the front door and at the door of every service: none is let in."""

import json
from uuid import uuid4

import msgspec
import pytest
from e2e.test_bad_input import in_turn
from forging import Forger, decoded

from merkato.chassis.tokens import Tokens
from merkato.config import SERVICES

# A route of each service that looks at the token before anything else.
DOORS = {
    "users": "/api/v1/me", "catalog": "/api/v1/imports", "inventory": "/api/v1/stock/A/journal",
    "orders": "/api/v1/orders", "payments": "/api/v1/ledger",
    "notifications": "/api/v1/notifications", "broker": "/api/v1/events",
}  # fmt: skip
CALLEES = ("users", "orders")  # to these, a token of orders' own is a good one


def published(shop):
    return {
        name: ({one: text for one, text in key.items() if one != "d"},)
        for name, key in shop.engines.secrets.signing.items()
    }


async def forged(shop):
    """A good token of an administrator, and all that is made of it."""
    token = await shop.log_in("admin@example.org")
    forger = Forger(shop.engines.secrets.signing, published(shop), CALLEES)
    mutants = [
        one for one in dict.fromkeys(forger.forged(token)) if one.isascii() and "\0" not in one
    ]
    assert len(mutants) >= 500
    again = forger.good(msgspec.json.decode(decoded(token.split(".")[1])))
    assert (await shop("GET", DOORS["users"], token=again)).status == 200  # it is the change
    return token, mutants


def services(shop):
    """Base addresses of the processes of services; empty where all are in one."""
    return (
        json.loads((shop.home / "run/gateway.json").read_text())["elsewhere"] if shop.each else {}
    )


async def refused(shop, address, mutant):
    answer = await shop("GET", address, token=mutant)
    assert answer.status == 401, (address, mutant, answer)
    assert answer.headers["www-authenticate"].startswith("Bearer"), address


async def test_no_forged_token_opens_any_door(shop):
    """Each mutant at one service's door after the other, through the gateway and past it."""
    assert DOORS.keys() == set(SERVICES)
    token, mutants = await forged(shop)
    doors = list(DOORS.values())
    doors += [services(shop)[name] + path for name, path in DOORS.items() if shop.each]
    for door in doors:
        assert (await shop("GET", door, token=token)).status in (200, 404), door
    cases = [(shop, doors[n % len(doors)], mutant) for n, mutant in enumerate(mutants)]
    await in_turn(refused, cases)


@pytest.mark.slow
async def test_no_forged_token_opens_every_door(shop):
    """All mutants at all doors."""
    _, mutants = await forged(shop)
    doors = [*DOORS.values()]
    doors += [services(shop)[name] + path for name, path in DOORS.items() if shop.each]
    await in_turn(refused, [(shop, door, mutant) for door in doors for mutant in mutants])


@pytest.mark.parametrize("shop", [True], ids=["process-per-service"], indirect=True)
async def test_routes_for_services_ask_for_a_token_for_that_service(shop):
    """Past the gateway, on the service's own port: its customers' tokens open nothing there."""
    base = services(shop)
    path = f"{base['inventory']}/api/v1/reservations/{uuid4()}"
    _, customer = await shop.member()
    for token in (None, customer, shop.admin):
        assert (await shop("GET", path, token=token)).status == 404, token
    secrets, public = shop.engines.secrets.signing, published(shop)
    for_another = Tokens("orders", secrets["orders"], public).for_service("payments")
    assert (await shop("GET", path, token=for_another)).status == 401
    theirs = Tokens("orders", secrets["orders"], public).for_service("inventory")
    seen = await shop("GET", path, token=theirs)
    assert (seen.status, seen.json()["detail"]) != (404, "There is nothing here."), seen
