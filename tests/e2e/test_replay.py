"""A file of invoice lines, replayed into a running shop: it says what the file says, and once."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

OURS = Path(__file__).parents[1] / "unit/replay/invoices.csv"


def replayed(shop, file, *words):
    return json.loads(shop.command("replay", str(file), "--json", *words).splitlines()[-1])


def fate(said, kind):
    [found] = [one for one in said["fates"] if one["kind"] == kind]
    return found


def adds_up(said):
    for one in said["fates"]:
        rows = one["booked_rows"] + one["in_part_rows"] + one["left_rows"] + one["skipped_rows"]
        assert rows == one["rows"], one
        for what in ("units", "money"):
            parts = [Decimal(str(one[f"{how}_{what}"])) for how in ("booked", "left", "skipped")]
            assert sum(parts) == Decimal(str(one[what])), one


async def test_our_file_becomes_orders_once(shop):
    said = replayed(shop, OURS, "--limit", "4")
    assert said["exact"], said
    assert said["counts"]["orders_placed"] == 3
    assert said["counts"]["taken_back"] == 1
    assert fate(said, "goods")["left_rows"] == 1
    adds_up(said)
    said = replayed(shop, OURS)
    assert (said["exact"], said["refused"]) == (True, {}), said
    assert (said["counts"]["orders_placed"], said["counts"]["orders_found"]) == (2, 3)
    adds_up(said)
    assert fate(said, "goods")["booked_money"] == "47.25"
    assert fate(said, "postage")["booked_money"] == "34.95"
    back = fate(said, "goods back")
    assert (back["booked_rows"], back["in_part_rows"], back["skipped_rows"]) == (2, 1, 2)
    again = replayed(shop, OURS)
    assert (again["exact"], again["counts"]["orders_placed"], again["counts"]["stocked_up"]) == (
        True, 0, 0,
    )  # fmt: skip
    await looks_like_the_file(shop)


async def looks_like_the_file(shop):
    found = await shop.ok("GET", "/api/v1/orders?reference=invoices-7001", token=shop.admin)
    order = await shop.order(found["items"][0]["id"])
    lines = [
        (line["sku"], line["quantity"], line["unit_price_minor"], line["list_price_minor"])
        for line in order["lines"]
    ]
    assert lines == [("10001", 1, 210, 255), ("10001", 8, 255, 255)]
    assert (order["totals"]["shipping_minor"], order["currency"]) == (495, "GBP")
    assert order["reference_time"] == "2024-02-28T09:15:00Z"
    kinds = sorted((credit["kind"], credit["amount_minor"]) for credit in order["credits"])
    assert kinds == [("cancellation", 765), ("goodwill", 495), ("goodwill", 500), ("return", 255)]
    # all pieces bought in March came back on the 2nd
    days = "from=2024-02-01&to=2024-03-31&by=month&reference_prefix=invoices-"
    months = await shop.ok("GET", f"/api/v1/reports/sales?{days}", token=shop.admin)
    shown = [(row["key"], row["sales_minor"], row["net_minor"]) for row in months["items"]]
    assert shown == [
        ("2024-02", 2_250 + 495 + 1_375 + 1_667 + 3_000, 8_787 - 765),
        ("2024-03", 1_100, 1_100 - 1_100 - 255 - 495 - 500),
    ]


async def test_a_file_of_something_else_is_refused(shop, tmp_path):
    (tmp_path / "x.csv").write_text("id,title\n1,x\n")
    with pytest.raises(AssertionError, match="names no column invoiceno"):
        shop.command("replay", str(tmp_path / "x.csv"))
