"""An import whose shop is killed goes on where it was, and nothing is made twice."""

import asyncio

from breaking import kill, kill_everything, lawful, ready
from e2e.test_catalogue_files import IMPORTS, goods
from harness import eventually
from shopping import new_key

ROWS = 4_000


async def begun(shop):
    """Send a file and wait until some of it is done; gives where it is, and the run."""
    run = f"k{new_key()[:8]}"
    headers = {"content-type": "text/csv"}
    answer = await shop("POST", IMPORTS, goods(run, ROWS), token=shop.admin, headers=headers)
    assert answer.status == 202, answer
    place = answer.headers["location"]

    async def some():
        one = (await shop("GET", place, token=shop.admin)).json()
        return one if one["rows_done"] else None

    one = await eventually(some, pause=0.01)
    assert one["state"] == "running"
    return place, run


async def complete(shop, place, run):
    """See that all rows became products, once, and that everybody has heard of them."""

    async def done():
        one = (await shop("GET", place, token=shop.admin)).json()
        return one if one["state"] == "done" else None

    one = await eventually(done, seconds=90, pause=0.3)
    assert (one["rows_done"], one["created"], one["failed"]) == (ROWS, ROWS, 0)
    made = await shop.sql("catalog", "select count(*) from variants where sku like $1", f"{run}-%")
    assert made[0][0] == ROWS
    said = "select count(*) from outbox where type = 'catalog.variant_priced.v1' and key like $1"
    assert (await shop.sql("catalog", said, f"{run}-%"))[0][0] == ROWS

    async def heard():
        sql = "select count(*) from offers where sku like $1"
        return (await shop.sql("orders", sql, f"{run}-%"))[0][0] == ROWS

    await eventually(heard, seconds=60, pause=0.3)


async def test_the_shop_is_killed_while_it_imports(shop):
    place, run = await begun(shop)
    kill(shop.pid("shop"))
    await asyncio.sleep(0.5)
    await ready(shop)
    await complete(shop, place, run)


async def test_everything_is_killed_while_it_imports(shop):
    place, run = await begun(shop)
    kill_everything(shop)
    await asyncio.sleep(0.3)
    await shop.up()
    await ready(shop)
    await complete(shop, place, run)
    await lawful(shop)
