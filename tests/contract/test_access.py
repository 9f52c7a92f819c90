"""Who may call what: access.csv is reviewed, and the code's policies are compared with it.

`python tests/contract/test_access.py` (also by `make fix`) adds a row for each new route as the
code has it, and drops those of routes that are gone; what it wrote is to be read before it is
committed.

A cell says what the door of a service answers: `in`, 401, 403 or 404; `key` is an API key with the
scope that the policy names, `other-keys` one with all scopes but that. `owner` and `other` are
customers before a thing that is one of theirs: `own` (only whose it is), `in` (anybody) or `-`
(nobody's thing).
"""

import csv
import io
import re
from pathlib import Path
from uuid import UUID

import pytest

from merkato import config, topology
from merkato.chassis.http import ANYONE, SERVICE, permit, policies
from merkato.chassis.tokens import ANONYMOUS, Caller
from merkato.contracts.permissions import ADMIN, ROLES
from merkato.contracts.problem import Problem

FILE = Path(__file__).parent / "access.csv"
SOMEBODY = UUID(int=1)
DOORS = ("anonymous", "guest", *ROLES, "service", "key", "other-keys")
COLUMNS = ("method", "path", "policy", *DOORS, "owner", "other")
# Paths with a parameter that name what is everybody's, or nobody's in particular.
PUBLIC = re.compile(r"/api/v1/(products|categories|variants|topics)/|/images/|/auth/|/webhooks/")


def routes():
    """Every route: (method, path) -> policy."""
    found = {}
    for service in topology.services(config.Config(here=("gateway",))).values():
        for (method, path), policy in policies(service.routes).items():
            found[method, re.sub(r":[a-z]+\}", "}", path)] = policy
    return found


def caller(column, policy):
    """Whoever a column is about, before a route of this policy."""
    permission = policy.partition(":")[2]
    if column in ROLES:
        return Caller(kind="user", user_id=SOMEBODY, role=column, permissions=ROLES[column])
    if column == "service":
        return Caller(kind="service", service="orders")
    if column in ("key", "other-keys"):
        scopes = {permission} if column == "key" else ADMIN - {permission}
        return Caller(kind="key", key_id=SOMEBODY, permissions=frozenset(scopes - {""}))
    return ANONYMOUS  # a guest's tokens are of carts and orders; no door asks for them


def door(column, policy):
    """What the door says: `in`, or the status of its refusal."""
    try:
        permit(caller(column, policy), policy)
    except Problem as refusal:
        return str(refusal.status)
    return "in"


def template(method, path, policy):
    """A row as the code has it."""
    cells = {column: door(column, policy) for column in DOORS}
    owned = "{" in path and not policy.startswith("staff:") and policy != SERVICE
    if path.startswith("/api/v1/me") and "{" not in path:
        cells |= {"owner": "own", "other": "own"}
    elif owned:
        public = bool(PUBLIC.search(path))
        cells |= {"owner": "in" if public else "own", "other": "in" if public else "404"}
    else:
        cells |= {"owner": "-", "other": "-"}
    return {"method": method, "path": path, "policy": policy, **cells}


def kept():
    """The rows of the file, by (method, path)."""
    rows = csv.DictReader(io.StringIO(FILE.read_text())) if FILE.exists() else []
    return {(row["method"], row["path"]): row for row in rows}


ROUTES, ROWS = routes(), kept()


def test_every_route_has_a_row_and_every_row_a_route():
    told = "run `make fix`, and read the rows it wrote to tests/contract/access.csv"
    assert sorted(ROUTES.keys() - ROWS.keys()) == [], told
    assert sorted(ROWS.keys() - ROUTES.keys()) == [], told


@pytest.mark.parametrize("place", sorted(ROUTES.keys() & ROWS.keys()), ids=" ".join)
def test_the_door_says_what_the_row_says(place):
    row, policy = ROWS[place], ROUTES[place]
    assert row["policy"] == policy, "who may call it has changed: change the row, if that is meant"
    assert {one: row[one] for one in DOORS} == {one: door(one, policy) for one in DOORS}
    assert row["owner"] in ("own", "in", "-")
    assert row["other"] in ("404", "own", "in", "-")


def test_what_is_staffs_is_nobody_elses():
    for place, row in ROWS.items():
        if row["policy"].startswith("staff:"):
            outside = {one: row[one] for one in ("anonymous", "guest", "customer", "other-keys")}
            assert outside == {
                "anonymous": "401", "guest": "401", "customer": "403", "other-keys": "403"
            }, place  # fmt: skip
            assert row["admin"] == row["key"] == "in", place
        if row["policy"] == SERVICE:
            assert {row[one] for one in DOORS} == {"404", "in"}
            assert row["service"] == "in"


def test_a_changed_policy_is_seen():
    open_to_all = {one: door(one, ANYONE) for one in DOORS}
    for policy in {*ROUTES.values()} - {ANYONE, "signed"}:
        assert {one: door(one, policy) for one in DOORS} != open_to_all, policy


if __name__ == "__main__":
    made = {place: template(*place, policy) for place, policy in ROUTES.items()}
    same = {p: row for p, row in ROWS.items() if p in made and row["policy"] == made[p]["policy"]}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore", restval="")
    writer.writeheader()
    for place in sorted(made, key=lambda place: (place[1], place[0])):
        row = made[place] | {
            k: v for k, v in same.get(place, {}).items() if k in ("owner", "other")
        }
        writer.writerow(row)
    FILE.write_text(text.getvalue())
