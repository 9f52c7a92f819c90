"""An order as its invoice: who sold it, what it cost by tax rate, and a page to print."""

import re
from uuid import uuid4

import harness
import pytest
from service.orders_desk import TOKEN, Inventory, Payments, about, opened, place, wish
from service.test_orders_after_sale import STAFF, post, some

from merkato.config import Seller
from merkato.contracts.catalog import Price, VariantPriced
from merkato.contracts.payments import PaymentAuthorised, PaymentDeclined
from merkato.orders.store import sellers

ADDRESS = {
    "name": "Zoë Müller", "company": "Müller & <Söhne>", "lines": ["Große Straße 1"],
    "city": "Köln", "postal_code": "50667", "country": "DE", "tax_id": "DE 999",
}  # fmt: skip
MINE = Seller(name="Mirabelle & Moss", lines=("1 Quay",), city="Bremen", country="DE", tax_id="X1")


@pytest.fixture
async def orders(new_database):
    async with opened(new_database, Inventory(), Payments()) as alone:
        prices = (Price(currency="EUR", amount_minor=1_190), Price(currency="JPY", amount_minor=5))
        for sku, tax_class in (("CAFÉ", "standard"), ("BOOK", "reduced")):
            await alone.hear(
                VariantPriced(
                    sku=sku.replace("É", "E"), product_id=uuid4(), active=True, version=1,
                    titles={"en": f"<b>{sku}</b>"}, prices=prices, requires_shipping=False,
                    tax_class=tax_class, options={"size": "é"},
                )
            )  # fmt: skip
        yield alone


async def bought(orders, **more):
    lines = [{"sku": "CAFE", "quantity": 2}, {"sku": "BOOK", "quantity": 1}]
    placed = await place(orders, wish(lines=lines, billing_address=ADDRESS, **more))
    assert placed.status == 202, placed
    return placed.json()


async def confirmed(orders, **more):
    order = await bought(orders, **more)
    await orders.hear(PaymentAuthorised(**about(order["id"]), method="on_account"))
    return order


async def invoice(orders, order, form="", token=TOKEN):
    path = f"/api/v1/orders/{order['id']}/invoice{form}"
    return await orders.request("GET", path, token=token)


async def keep(orders, seller):
    async with orders.db.transaction() as tx:
        return await sellers.keep(tx, seller)


async def test_all_data_of_an_invoice(orders):
    assert await keep(orders, MINE) == 1
    assert await keep(orders, MINE) == 0
    order = await confirmed(orders)
    assert await keep(orders, Seller(name="Another")) == 1
    found = (await invoice(orders, order)).json()
    assert (found["title"], found["seller"]["name"]) == ("invoice", "Mirabelle & Moss")
    assert found["order"]["billing_address"]["name"] == "Zoë Müller"
    assert found["order"]["number"] == order["number"]
    taxes = [tuple(tax.values()) for tax in found["order"]["taxes"]]
    assert taxes == [(1_900, 2_000, 380, 2_380), (700, 1_112, 78, 1_190)]
    totals = found["order"]["totals"]
    assert sum(tax[3] for tax in taxes) == totals["grand_minor"]
    assert sum(tax[2] for tax in taxes) == totals["tax_minor"]
    later = await confirmed(orders)
    assert (await invoice(orders, later)).json()["seller"]["name"] == "Another"


async def test_a_page_to_print_in_the_orders_locale(orders):
    await keep(orders, MINE)
    order = await confirmed(orders, locale="de-DE")
    await post(orders, f"orders/{order['id']}/shipments")
    await post(orders, f"orders/{order['id']}/returns", some((1, 1), received=True))
    page = await invoice(orders, order, ".html")
    assert page.headers["content-type"].startswith("text/html")
    assert "script" not in page.headers["content-security-policy"]
    text = page.body.decode()
    assert "&lt;b&gt;CAFÉ&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "Müller &amp; &lt;Söhne&gt;" in text
    assert "Mirabelle &amp; Moss" in text
    for shown in ("Rechnung", order["number"], "35,70\xa0€", "11,90\xa0€", "19 %", "23,80\xa0€"):
        assert shown in text, shown
    assert "@media print" in text
    assert not re.search(r"(src|href)=", text)  # nothing is fetched


async def test_yen_have_no_cents_and_other_locales_fall_back(orders):
    order = await confirmed(orders, currency="JPY", locale="fr")
    text = (await invoice(orders, order, ".html")).body.decode()
    assert "¥15" in text
    assert "Invoice" in text


async def test_an_order_put_on_account_after_its_card_was_declined_says_so(orders):
    order = await bought(orders, payment={"method": "card", "token": "pm_card_visa"})
    await orders.hear(
        PaymentDeclined(**about(order["id"]), attempt=1, reason="no money"),
        PaymentAuthorised(**about(order["id"]), method="on_account"),
    )
    assert (await invoice(orders, order)).json()["order"]["payment_method"] == "on_account"


async def test_an_order_is_no_invoice_before_it_is_confirmed(orders):
    order = await bought(orders)
    found = (await invoice(orders, order)).json()
    assert (found["title"], found["seller"]) == ("order", None)
    assert "<h1>Order</h1>" in (await invoice(orders, order, ".html")).body.decode()
    for form in ("", ".html"):
        assert (await invoice(orders, order, form, STAFF)).status == 200
        assert (await invoice(orders, order, form, harness.user_token(uuid4()))).status == 404
        assert (await invoice(orders, order, form, None)).status == 404
