"""A replay that is cut off by every kind of death goes on where it stopped: nothing doubles."""

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from breaking import kill, kill_everything, lawful, ready
from harness import eventually

DATA = os.environ.get("MERKATO_DATA") or Path(__file__).parents[3] / "shared/data"
PUBLIC = Path(DATA) / "online-retail/online_retail.csv.gz"
PUBLIC_IS_HERE = pytest.mark.skipif(
    not PUBLIC.exists(), reason="the Online Retail file is not here; MERKATO_DATA says where"
)
HEADING = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def written(file, *, invoices=240, seed=7):
    """A file of invoices of a dozen customers, who send some of it back; how many sales it has."""
    dice, lines, bought, sales = random.Random(seed), [HEADING], [], 0
    for n in range(invoices):
        at = f"2024-03-0{1 + n // 60} {8 + n % 60 // 6:02}:{n % 6 * 10:02}:00"
        if bought and dice.random() < 0.15:
            code, price, customer = dice.choice(bought)
            lines.append(f"C{5000 + n},{code},GOOD,-1,{at},{price},{customer},France")
            continue
        customer, sales = dice.choice(["", *range(1, 13)]), sales + 1
        for _ in range(dice.randint(1, 6)):
            code, price = 10_000 + dice.randint(1, 30), dice.choice(["1.25", "2.10", "0.85"])
            pieces = dice.randint(1, 9)
            lines.append(f"{5000 + n},{code},GOOD {code},{pieces},{at},{price},{customer},France")
            bought += [(code, price, customer)] if customer else []
        if dice.random() < 0.3:
            lines.append(f"{5000 + n},POST,POSTAGE,1,{at},4.50,{customer},France")
    file.write_text("\n".join(lines) + "\n")
    return sales


def begin(shop, file):
    return subprocess.Popen(
        [sys.executable, "-m", "merkato", "replay", str(file), "--json", "--at-once", "6"],
        env=os.environ | {"MERKATO_HOME": str(shop.home)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def placed(shop, prefix):
    query = "select count(*) as n from orders where starts_with(reference, $1)"
    [row] = await shop.sql("orders", query, prefix)
    return row["n"]


async def until(shop, prefix, most):
    async def there():
        return await placed(shop, prefix) >= most

    await eventually(there, seconds=90, pause=0.05)


async def all_well(shop, said, sales, prefix):
    assert (said["exact"], said["refused"], said["differing"]) == (True, {}, []), said
    assert await placed(shop, prefix) == sales
    await lawful(shop)
    shop.command("audit", "--settle", "5")


@pytest.mark.timeout(300)
async def test_everything_dies_in_the_middle(shop, tmp_path):
    sales = written(tmp_path / "everything.csv")
    running = begin(shop, tmp_path / "everything.csv")
    await until(shop, "everything-", sales // 3)
    kill_everything(shop)
    kill(running.pid)
    running.communicate()
    await asyncio.sleep(0.3)
    await shop.up()
    assert sales // 3 <= await placed(shop, "everything-") < sales
    said = json.loads(shop.command("replay", str(tmp_path / "everything.csv"), "--json"))
    await all_well(shop, said, sales, "everything-")
    again = json.loads(shop.command("replay", str(tmp_path / "everything.csv"), "--json"))
    made = ("orders_placed", "taken_back", "goods_made", "stocked_up", "prices_set")
    assert [again["counts"][name] for name in made] == [0] * len(made)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_shop_dies_and_the_replay_waits_for_it(shop, tmp_path):
    sales = written(tmp_path / "waiting.csv", seed=11)
    running = begin(shop, tmp_path / "waiting.csv")
    for third in (1, 2):
        await until(shop, "waiting-", sales * third // 3)
        kill(shop.pid("orders"))
        await asyncio.sleep(0.3)
        await ready(shop)
    out, _ = await asyncio.to_thread(running.communicate)
    await all_well(shop, json.loads(out), sales, "waiting-")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_replay_that_is_interrupted_again_and_again_goes_on(shop, tmp_path):
    sales = written(tmp_path / "again.csv", seed=13)
    for tenth in range(1, 6):
        running = begin(shop, tmp_path / "again.csv")
        await until(shop, "again-", sales * tenth // 10)
        running.send_signal(2 if tenth % 2 else 9)
        await asyncio.to_thread(running.communicate)
    said = json.loads(shop.command("replay", str(tmp_path / "again.csv"), "--json"))
    await all_well(shop, said, sales, "again-")


@PUBLIC_IS_HERE
@pytest.mark.timeout(400)
async def test_the_beginning_of_the_public_file(shop):
    done = shop.command("replay", str(PUBLIC), "--json", "--limit", "20", timeout_s=380)
    said = json.loads(done)
    assert (said["exact"], said["refused"]) == (True, {}), said
    whole = {one["kind"]: (one["rows"], one["money"]) for one in said["fates"]}
    assert whole["goods"] == (527_725, "10271034.61")
    assert whole["postage"] == (1_973, "291401.65")


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@PUBLIC_IS_HERE
async def test_the_whole_public_file(shop):
    def replayed():
        return json.loads(shop.command("replay", str(PUBLIC), "--json", timeout_s=3_500))

    said = replayed()
    assert (said["exact"], said["refused"]) == (True, {}), said
    fates = {one["kind"]: one for one in said["fates"]}
    assert fates["goods"]["booked_money"] == "10271034.61"
    assert fates["postage"]["booked_money"] == "291401.65"
    assert fates["goods back"]["booked_rows"] >= 7_300
    await lawful(shop)
    assert replayed()["counts"]["orders_placed"] == 0
