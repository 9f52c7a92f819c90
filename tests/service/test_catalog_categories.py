"""The tree of categories: made, moved and deleted, and never a cycle."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from harness import alone, user_token

from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import ProductChanged

STAFF = user_token(role="staff")
CATEGORIES = "/api/v1/categories"


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


def body(title, parent=None, **more):
    return {"parent_id": parent, "texts": {"en": {"title": title}}, **more}


async def send(catalog, method, path, content=None, etag=None, **more):
    headers = {"if-match": etag} if etag else {}
    return await catalog.request(method, path, content, token=STAFF, headers=headers, **more)


async def category(catalog, title, parent=None, **more):
    answer = await send(catalog, "POST", CATEGORIES, body(title, parent, **more))
    assert answer.status == 201, answer
    return answer.json()["id"]


async def test_a_tree_is_made_and_read(catalog):
    kitchen = await category(catalog, "Kitchen", position=2)
    await category(catalog, "Pantry", position=1)
    mugs = await category(catalog, "Mugs & cups", kitchen)
    await category(catalog, "Bowls", kitchen)
    await category(catalog, "Tall", mugs)

    def shape(branches):
        return [(branch["slug"], shape(branch["children"])) for branch in branches]

    tree = (await catalog.request("GET", CATEGORIES)).json()
    assert tree["next_cursor"] is None
    assert shape(tree["items"]) == [
        ("pantry", []),
        ("kitchen", [("bowls", []), ("mugs-cups", [("tall", [])])]),
    ]
    for name in (mugs, "mugs-cups"):
        read = await catalog.request("GET", f"{CATEGORIES}/{name}")
        assert (read.status, read.headers["etag"]) == (200, '"v1"')
        page = read.json()
        assert [node["slug"] for node in page["path"]] == ["kitchen"]
        assert [node["slug"] for node in page["children"]] == ["tall"]
    for name in ("none", str(uuid4())):
        assert (await catalog.request("GET", f"{CATEGORIES}/{name}")).status == 404


async def test_texts_come_in_the_locale_asked_for(catalog):
    texts = {"en": {"title": "Sweets"}, "de": {"title": "Süßes", "slug": "suesses"}}
    await send(catalog, "POST", CATEGORIES, {"texts": texts})
    await category(catalog, "Salt")
    tree = (await catalog.request("GET", f"{CATEGORIES}?locale=de")).json()
    assert {branch["title"] for branch in tree["items"]} == {"Süßes", "Salt"}
    page = (await catalog.request("GET", f"{CATEGORIES}/sweets?locale=de")).json()
    assert (page["slug"], page["locale"]) == ("suesses", "de")


async def test_changes_need_the_etag(catalog):
    path = f"{CATEGORIES}/{await category(catalog, 'Kitchen')}"
    assert (await send(catalog, "PATCH", path, {"position": 3})).status == 428
    assert (await send(catalog, "PATCH", path, {"position": 3}, etag='"v2"')).status == 412
    changed = await send(catalog, "PATCH", path, {"position": 3}, etag='"v1"')
    assert (changed.status, changed.headers["etag"]) == (200, '"v2"')
    assert changed.json()["position"] == 3
    assert (await send(catalog, "PATCH", path, {}, etag='"v2"')).status == 422
    assert (await send(catalog, "DELETE", path)).status == 428
    assert (await send(catalog, "DELETE", path, etag='"v1"')).status == 412
    assert (await send(catalog, "DELETE", path, etag='"v2"')).status == 204
    assert (await catalog.request("GET", path)).status == 404


async def test_slugs_of_categories_are_unique(catalog):
    await category(catalog, "Kitchen")
    answers = [
        *await asyncio.gather(*(send(catalog, "POST", CATEGORIES, body("Mugs")) for _ in range(6))),
        await send(catalog, "POST", CATEGORIES, body("kitchen")),
    ]
    assert sorted(answer.status for answer in answers) == [201, *[409] * 6]


async def test_nothing_hangs_below_itself(catalog):
    top = await category(catalog, "Top")
    middle = await category(catalog, "Middle", top)
    bottom = await category(catalog, "Bottom", middle)
    for parent in (top, middle, bottom):
        moved = await send(catalog, "PATCH", f"{CATEGORIES}/{top}", {"parent_id": parent}, '"v1"')
        assert moved.status == 409, moved
    free = await send(catalog, "PATCH", f"{CATEGORIES}/{bottom}", {"parent_id": None}, '"v1"')
    assert free.status == 200
    under = await send(catalog, "PATCH", f"{CATEGORIES}/{top}", {"parent_id": bottom}, '"v1"')
    assert under.status == 200
    nowhere = await send(catalog, "POST", CATEGORIES, body("Lost", str(uuid4())))
    assert nowhere.status == 422


async def test_two_moves_at_once_make_no_cycle(catalog):
    for n in range(12):
        left = await category(catalog, f"Left {n}")
        right = await category(catalog, f"Right {n}")
        answers = await asyncio.gather(
            send(catalog, "PATCH", f"{CATEGORIES}/{left}", {"parent_id": right}, '"v1"'),
            send(catalog, "PATCH", f"{CATEGORIES}/{right}", {"parent_id": left}, '"v1"'),
        )
        assert sorted(answer.status for answer in answers) == [200, 409]


async def test_the_database_itself_refuses_a_cycle(catalog):
    """Two transactions without our lock: the second waits and is refused, whoever it is."""
    left, right = await category(catalog, "Left"), await category(catalog, "Right")
    move = "update categories set parent_id = $2 where id = $1"
    waiting = asyncio.Event()

    async def second():
        async with catalog.db.transaction() as tx:
            waiting.set()
            await tx.execute(move, right, left)

    async with catalog.db.transaction() as tx:
        await tx.execute(move, left, right)
        other = asyncio.create_task(second())
        await waiting.wait()
        await asyncio.sleep(0.2)
        assert not other.done()
    with pytest.raises(asyncpg.CheckViolationError):
        await other
    with pytest.raises(asyncpg.CheckViolationError):
        async with catalog.db.transaction() as tx:
            await tx.execute(move, right, right)


async def test_a_deleted_category_leaves_its_products(catalog):
    top = await category(catalog, "Top")
    below = await category(catalog, "Below", top)
    product = {
        "status": "active",
        "texts": {"en": {"title": "Mug"}},
        "categories": [top, below],
    }
    await send(catalog, "POST", "/api/v1/products", product)
    assert (await send(catalog, "DELETE", f"{CATEGORIES}/{top}", etag='"v1"')).status == 409
    assert (await send(catalog, "DELETE", f"{CATEGORIES}/{below}", etag='"v1"')).status == 204
    page = await catalog.request("GET", "/api/v1/products/mug")
    assert [c["slug"] for c in page.json()["categories"]] == ["top"]
    assert page.headers["etag"] == '"v2"'
    [said] = await catalog.said(ProductChanged)
    assert [str(c) for c in said.categories] == [top]


async def test_the_tree_has_a_depth(catalog):
    parent = None
    for n in range(20):
        parent = await category(catalog, f"Level {n}", parent)
    answer = await send(catalog, "POST", CATEGORIES, body("Too deep", parent))
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/parent_id")


async def test_deleting_while_products_move_leaves_nobody_untold(catalog):
    """Products change their categories while these are deleted; each product is told as it is."""
    ids = [await category(catalog, f"Shelf {n}") for n in range(4)]
    paths = []
    for n in range(4):
        body = {"status": "active", "texts": {"en": {"title": f"P {n}"}}, "categories": ids[:2]}
        answer = await send(catalog, "POST", "/api/v1/products", body)
        paths.append(f"/api/v1/products/{answer.json()['id']}")

    async def move(path, n):
        for turn in range(4):
            etag = (await catalog.request("GET", path)).headers["etag"]
            wanted = {"categories": [ids[(n + turn) % 4], ids[2]]}
            answer = await send(catalog, "PATCH", path, wanted, etag)
            assert answer.status in (200, 412, 422), answer

    async def remove(category_id):
        while True:
            answer = await send(catalog, "DELETE", f"{CATEGORIES}/{category_id}", etag='"v1"')
            if answer.status == 204:
                return
            assert answer.status == 409, answer

    await asyncio.gather(
        *(move(path, n) for n, path in enumerate(paths)), *(remove(c) for c in ids[:2])
    )
    events = {str(event.product_id): event for event in await catalog.said(ProductChanged)}
    for path in paths:
        page = await catalog.request("GET", path)
        known = {str(c) for c in events[page.json()["id"]].categories}
        assert known == {c["id"] for c in page.json()["categories"]}
        assert not known & set(ids[:2])
        assert page.headers["etag"] == f'"v{events[page.json()["id"]].version}"'
