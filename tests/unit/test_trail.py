"""What an entry of the audit trail says, and what it keeps to itself."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from merkato.chassis.db import Tx
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import HIDDEN, note
from merkato.contracts.event import Personal
from merkato.contracts.trail import NOTED
from merkato.contracts.values import Money
from merkato.users.domain.trail import chained

STAFF = Caller(kind="user", user_id=UUID(int=7), role="staff")


def noted(before=None, after=None, caller=STAFF):
    tx = Tx(None)
    note(tx, caller, "catalog.product_changed", "product:1", before, after)
    return [said.event for said in tx.outgoing]


def test_an_entry_names_who_did_what_to_what():
    [entry] = noted(after={"title": "Tea"})
    assert (entry.actor, entry.role) == (f"user:{UUID(int=7)}", "staff")
    assert (entry.action, entry.subject) == ("catalog.product_changed", "product:1")
    assert (entry.before, entry.after) == (None, {"title": "Tea"})
    assert entry.type == "catalog.action_noted.v1"
    [by_key] = noted(caller=Caller(kind="key", key_id=UUID(int=9)))
    assert (by_key.actor, by_key.role) == (f"key:{UUID(int=9)}", None)


def test_only_what_differs_is_kept_and_nothing_when_nothing_does():
    price = Money(amount_minor=5, currency="EUR")
    old = {"title": "Tea", "price": price, "tags": ("a", "b"), "gone": 1}
    new = {"title": "Tea", "price": {"amount_minor": 6, "currency": "EUR"}, "tags": ["a", "b"]}
    [entry] = noted(old, new)
    assert entry.before == {"price": {"amount_minor": 5, "currency": "EUR"}, "gone": 1}
    assert entry.after == {"price": {"amount_minor": 6, "currency": "EUR"}}
    assert noted(old, dict(old)) == []


class Guest(msgspec.Struct):
    nick: Personal[str]
    visits: int


def test_personal_and_secret_values_are_not_in_it():
    canary = "canary-of-ada"
    before = {
        "email": canary, "phone": None, "lines": [{"sku": "a", "contact": {"name": canary}}],
        "reason": "x" * 10_000,
    }  # fmt: skip
    [entry] = noted(before)
    assert entry.before["email"] == HIDDEN
    assert entry.before["phone"] is None
    assert entry.before["lines"] == [{"sku": "a", "contact": HIDDEN}]
    assert len(entry.before["reason"]) < 1_000
    assert canary.encode() not in msgspec.json.encode(entry)
    [entry] = noted(Guest(canary, 1), Guest("another", 2))
    assert (entry.before, entry.after) == (
        {"nick": HIDDEN, "visits": 1}, {"nick": HIDDEN, "visits": 2},
    )  # fmt: skip


def test_too_much_is_left_out_and_said_so():
    [entry] = noted(after={f"field {n}": "x" * 400 for n in range(1_000)} | {"last": 1})
    assert list(entry.after) == ["left_out"]
    assert len(msgspec.json.encode(entry)) < 100_000


def test_a_service_notes_its_own_actions_only():
    with pytest.raises(KeyError):
        note(Tx(None), STAFF, "warehouse.burnt", "house:1")


def entry(n: int, **more: Any):
    at = datetime(2030, 1, 1, tzinfo=UTC)
    return NOTED["users"](
        entry_id=uuid4(), at=at, actor="user:1", action="users.x", subject=f"x:{n}", **more
    )


def test_each_link_of_the_chain_holds_the_one_before():
    first, second = chained(0, b"", [entry(1), entry(2)])
    [third] = chained(second.n, second.hash, [entry(3)])
    assert [one.n for one in (first, second, third)] == [1, 2, 3]
    assert first.hash == hashlib.sha256(first.body.encode()).digest()
    assert third.hash == hashlib.sha256(second.hash + third.body.encode()).digest()
