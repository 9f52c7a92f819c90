"""The collection of requests: all that is documented, run against a real shop, without Postman."""

import tempfile
from pathlib import Path

import pytest_asyncio
import shopping
from breaking import lawful
from postman import Runner

from merkato import config, topology
from merkato.gateway.documents import collection, openapi

DOCUMENT = openapi.document(topology.services(config.Config(here=("gateway",))))
COLLECTION = collection.collection(DOCUMENT)
PURCHASE, *FOLDERS = COLLECTION["item"]
# Ends what the others need: the account by whose token all requests are sent, or the session.
LAST = ("DELETE /api/v1/me", "DELETE /api/v1/me/sessions", "POST /api/v1/auth/logout")


def path_of(item):
    return "/" + "/".join(item["request"]["url"]["path"])


def documented(item):
    path = "/".join(
        f"{{{part[1:]}}}" if part.startswith(":") else part
        for part in item["request"]["url"]["path"]
    )
    return DOCUMENT["paths"]["/" + path][item["request"]["method"].lower()]


@pytest_asyncio.fixture(scope="module")
async def shop():
    """A shop of its own: the requests change whatever they can."""
    home = Path(tempfile.mkdtemp(prefix="merkato-collection-"))
    async with shopping.open_shop(home) as shop:
        await shop.sell(title="Stone mug")
        yield shop
        await lawful(shop)
    shopping.removed(home)


def test_every_operation_is_in_it_once():
    found = [
        (item["request"]["method"].lower(), path_of(item))
        for folder in FOLDERS
        for item in folder["item"]
    ]
    kept = [
        (method, path.replace("{", ":").replace("}", ""))
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    ]
    assert sorted(found) == sorted(kept)
    assert len(found) > 100


async def test_a_purchase_runs_from_the_shelf_to_the_order(shop):
    run = Runner(COLLECTION, shop.session, base_url=shop.base_url)
    for item in PURCHASE["item"]:
        assert [one["listen"] for one in item["event"]] == ["test"]
        await run.send(item)
    order = await shop.until(run.variables["order_id"])
    assert order["lines"][0]["sku"] == run.variables["sku"]


async def test_every_request_is_answered_as_documented(shop):
    """With an administrator's token, and values of nothing there is: no 5xx, nothing unforeseen."""
    shop.command("create-admin", "postman@example.org", text=shopping.PASSWORD + "\n")
    token = await shop.log_in("postman@example.org")
    run = Runner(COLLECTION, shop.session, base_url=shop.base_url, token=token)
    for item in PURCHASE["item"]:
        await run.send(item)
    items = [item for folder in FOLDERS for item in folder["item"]]
    items.sort(key=lambda item: f"{item['request']['method']} {path_of(item)}" in LAST)
    wrong, fine = [], 0
    for item in items:
        name = f"{item['request']['method']} {path_of(item)}"
        answer = await run.send(item)
        said = documented(item)["responses"]
        if str(answer.status) not in said or answer.status >= 500:
            wrong.append(f"{name}: {answer}")
        fine += answer.status < 300
    assert not wrong, "\n".join(wrong)
    assert fine > 40, fine
