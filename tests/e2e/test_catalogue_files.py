"""A file goes into a whole shop: by the command line, past a kill, and out again."""

import asyncio

from harness import eventually
from shopping import new_key

IMPORTS = "/api/v1/imports"
ROWS = 3_000


def goods(run, rows=ROWS):
    """A CSV file of more than a mebibyte: more than any other route takes."""
    words = "A thing with a long story, told at length. " * 9
    lines = [f'{run}-{n},active,Thing {n},"{words}",{run}-{n},{n % 90}.50' for n in range(rows)]
    return "\n".join(["slug,status,title,description,sku,price.EUR", *lines, ""]).encode()


async def ended(shop, place):
    async def done():
        one = (await shop("GET", place, token=shop.admin)).json()
        return one if one["state"] not in ("receiving", "waiting", "running") else None

    return await eventually(done, seconds=90, pause=0.3)


async def test_a_large_file_is_imported_and_its_goods_are_sold(shop):
    run = f"f{new_key()[:8]}"
    content = goods(run)
    assert len(content) > 1_048_576
    headers = {"content-type": "text/csv"}
    answer = await shop(
        "POST", f"{IMPORTS}?name=goods.csv", content, token=shop.admin, headers=headers
    )
    assert answer.status == 202, answer
    done = await ended(shop, answer.headers["location"])
    assert (done["state"], done["created"], done["failed"]) == ("done", ROWS, 0)
    _, token = await shop.member()
    cart = await shop("POST", "/api/v1/carts", {"currency": "EUR"}, token=token)
    lines = f"/api/v1/carts/{cart.json()['id']}/lines"
    body = {"sku": f"{run}-{ROWS - 1}", "quantity": 1}

    async def added():
        return (await shop("POST", lines, body, token=token)).status in (200, 201)

    await eventually(added)  # orders has heard of the last one
    listed = await shop("GET", f"/api/v1/products?q=thing+{ROWS - 1}&facets=true")
    assert listed.json()["facets"]["total"] >= 1
    exported = await shop("GET", "/api/v1/exports/products.csv", token=shop.admin)
    assert exported.body.count(f"{run}-".encode()) == 2 * ROWS  # slug and sku
    again = await shop("POST", IMPORTS, exported.body, token=shop.admin, headers=headers)
    repeated = await ended(shop, again.headers["location"])
    assert (repeated["unchanged"], repeated["failed"]) == (repeated["rows_total"], 0)


async def test_the_command_line_imports_and_tells_of_errors(shop, tmp_path):
    run = f"c{new_key()[:8]}"
    file = tmp_path / "goods.csv"
    file.write_bytes(goods(run, 5))
    said = await asyncio.to_thread(shop.command, "import", str(file))
    assert "5 created, 0 changed, 0 unchanged, 0 failed" in said
    said = await asyncio.to_thread(shop.command, "import", str(file), "--dry-run")
    assert "5 unchanged" in said
