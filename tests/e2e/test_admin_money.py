"""Sums that staff are shown are what is done then; and forms no page sends do nothing."""

import re

import pytest
from e2e.test_admin import at_work, bought
from shopping import card

pytestmark = pytest.mark.timeout(240)


async def test_the_sums_of_a_refund_are_what_is_credited(shop):
    sku = await shop.sell(price=1_000, stock=10)
    email, token = await shop.member()
    body = shop.order_of({sku: 3}, email, card("pm_card_visa"))
    placed = await shop.place(body, token=token)
    order_id = placed.json()["id"]
    await shop.until(order_id)
    path = f"/api/v1/orders/{order_id}/credits/preview"
    before = await shop.order(order_id)
    said = await shop.ok("POST", path, {"kind": "goodwill", "amount_minor": 350}, token=shop.admin)
    assert (said["amount_minor"], said["refund_minor"]) == (350, 350)
    assert said["left_minor"] == before["totals"]["grand_minor"] - 350
    assert await shop.order(order_id) == before, "a preview changes nothing"
    more = {"kind": "goodwill", "amount_minor": 10_000_000}
    refused = await shop("POST", path, more, token=shop.admin)
    assert refused.status == 409
    whole = await shop.ok("POST", path, {"kind": "cancellation"}, token=shop.admin)
    assert whole["amount_minor"] == before["totals"]["grand_minor"]
    assert whole["refund_minor"] == before["totals"]["captured_minor"]
    assert whole["tax_minor"] == before["totals"]["tax_minor"] > 0
    assert whole["shipping_minor"] == before["totals"]["shipping_minor"] > 0
    assert sum(line["gross_minor"] for line in whole["lines"]) == whole["amount_minor"]
    async with await at_work(shop) as browser:
        await browser.go(f"/admin/orders/{order_id}")
        page = await browser.press(
            "Ship", **{"line.1": "2", "carrier": "Swift", "tracking": "XY-1"}
        )
        assert "Shipped; the customer is told." in page.words, page
        page = await browser.press("It is here: show the sums", **{"line.1": "1"})
        said = re.search(r"Credited to the customer (\S+)", page.words)[1]
        page = await browser.press("Take back")
        assert "Taken back" in page.words, page
    [given] = (await shop.order(order_id))["credits"]
    assert said == f"€{given['amount_minor'] / 100:.2f}"
    assert given["kind"] == "return"


async def test_goodwill_is_read_in_the_currency_of_the_order(shop):
    prices = [{"currency": "JPY", "amount_minor": 5_000}]
    sku = await shop.sell(prices=prices, requires_shipping=False)
    email, token = await shop.member()
    body = shop.order_of({sku: 1}, email, currency="JPY") | {"shipping_method": None}
    order_id = (await shop.place(body, token=token)).json()["id"]
    await shop.until(order_id)
    async with await at_work(shop) as browser:
        await browser.go(f"/admin/orders/{order_id}")
        page = await browser.press("Show the sums", kind="goodwill", part="", amount="5.5")
        assert "Amount: a number such as 1290." in page.words, page
        page = await browser.press("Show the sums", kind="goodwill", part="", amount="1,200")
        assert "Credited to the customer ¥1,200" in page.words, page
        page = await browser.press("Credit and send back", amount_minor="x")
        assert "Amount: more than nothing." in page.words, page


async def test_what_no_page_of_ours_would_send_does_nothing(shop):
    order_id = await bought(shop, await shop.sell())
    some = "01890a5d-ac96-774b-bcce-b302099a8057"
    async with await at_work(shop) as browser:
        page = await browser.go(f"/admin/orders/{order_id}")
        fields = next(one.fields for one in page.forms if one.fields.get("part") == "yes")
        for path in (f"orders/{order_id}/returns/{some}/burning", f"webhooks/{some}/burning",
                     f"orders/{order_id}/payments/{some}/burning", f"orders/{order_id}/sums",
                     f"categories/{some}/order"):  # fmt: skip
            sent = {**fields, "kind": "burning", "do": "burning"}
            page = await browser.go(f"/admin/{path}", "POST", data=sent)
            assert page.status == 404, page
        path = f"/admin/orders/{order_id}/payments/{some}/refunds"
        page = await browser.go(path, "POST", data={**fields, "amount_minor": "9" * 5_000})
        assert (page.status, "Amount: more than nothing." in page.words) == (200, True), page
    assert not (await shop.order(order_id))["credits"]


async def test_sums_of_a_report_are_of_all_that_was_sold(shop):
    await bought(shop, await shop.sell())
    async with await at_work(shop) as browser:
        heads = []
        for by in ("day", "sku", "category"):
            page = await browser.go(f"/admin/t/reports?by={by}")
            heads.append(re.search(r'<ul class="numbers">.*?</ul>', page.html, re.S)[0])
    assert len(set(heads)) == 1, heads
