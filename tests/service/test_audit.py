"""Each law is broken once on purpose, and the audit names just that law and who breaks it."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from audit_offences import EVENT, OPERATION_OF, PLANTED
from audited_shop import A, B, Books, C, E, untouched
from service.test_outside_running import create, processing

from merkato.audit import watch
from merkato.audit.laws import LAWS, across
from merkato.audit.reading import PIECE


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shelf(databases, engines):
    return await untouched(databases, engines)


@pytest.fixture
async def shop(shelf, new_database, engines):
    books = Books(shelf, new_database, engines)
    yield books
    await books.close()


def broken(results):
    return {law for law, one in results.items() if one.broken}


async def test_a_shop_at_rest_keeps_every_law(shop):
    results = await shop.audit()
    assert {law: one.offences for law, one in results.items() if one.count} == {}
    looked_at = {law for law, one in results.items() if one.checked}
    assert set(LAWS) - looked_at == {"M5", "D1"}  # these need more than databases
    assert results["S4"].checked == 5
    assert results["M5"].note.startswith("not checked")


@pytest.mark.parametrize(
    ("law", "service", "sql", "id"), PLANTED, ids=[f"{p[0]}-{n}" for n, p in enumerate(PLANTED)]
)
async def test_an_offence_is_caught_and_named(shop, law, service, sql, id):
    if id == OPERATION_OF:
        id = await shop.fetchval(service, f"select {OPERATION_OF}")
    named = await shop.fetchval(service, sql) if id is None else None
    if id is not None:
        await shop.write(service, sql)
    results = await shop.audit()
    assert broken(results) == {law}, [results[one].offences for one in broken(results)]
    assert [one.id for one in results[law].offences] == [str(id or named)]
    assert results[law].count == 1


CONFIRMED = {
    "status": "confirmed", "grand_minor": 100, "credited_minor": 0, "payment_method": "card",
    "payment_status": "authorised", "fulfilment_status": "partial",
}  # fmt: skip
PROMISED = {
    "net": 0, "promised": 100, "refunding": 0, "credited": 0, "capturing": False, "voiding": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("order", "payment", "fine"),
    [
        ({}, {}, True),
        ({"fulfilment_status": "shipped"}, {}, False),  # and not charged
        ({"fulfilment_status": "delivered"}, {"capturing": True}, True),
        ({"fulfilment_status": "shipped", "payment_method": "on_account"}, {}, True),
        ({"credited_minor": 30}, {"credited": 30}, False),  # and still promised
        ({"credited_minor": 30}, {"credited": 30, "promised": 70}, True),
        ({"credited_minor": 30}, {"promised": 70}, False),  # and payments was not told
        ({"credited_minor": 100}, {"credited": 100, "voiding": True}, True),
        ({"payment_status": "paid"}, {"net": 100, "promised": 0}, True),
        ({"credited_minor": 30}, {"credited": 30, "net": 100, "promised": 0}, False),
        (
            {"credited_minor": 30},
            {"credited": 30, "net": 100, "promised": 0, "refunding": 30},
            True,
        ),
    ],
)
def test_what_a_confirmed_order_owes(order, payment, fine):
    assert (across.m3(CONFIRMED | order, PROMISED | payment) is None) == fine


async def test_every_law_has_its_offence():
    here = {"M5", "D1"}  # shown below
    assert {law for law, *_ in PLANTED} | here == set(LAWS)
    assert here.isdisjoint(law for law, *_ in PLANTED)


async def test_what_the_processor_took_is_what_we_say(shop, tmp_path):
    async with processing(tmp_path) as outside:
        url = outside.url
        intent = await create(outside, amount=2490, capture_method="automatic")
        other = await create(outside, amount=2490, capture_method="automatic")
        third = await create(outside, amount=2490, capture_method="automatic")
        refunds = outside.stripe().v1.refunds
        refund = await refunds.create_async({"payment_intent": other.id})
        part = await refunds.create_async({"payment_intent": third.id, "amount": 1000})
        for kind, order, reference in (
            ("capture", B, intent.id),
            ("capture", C, other.id),
            ("refund", C, refund.id),
            ("capture", E, third.id),
            ("refund", E, part.id),
        ):
            sql = "update operations set reference = $1 where payment_id = $2 and kind = $3"
            await shop.write("payments", sql, reference, order, kind)
        results = await shop.audit(processor_url=url)
        assert broken(results) == set()
        assert results["M5"].checked == 5
        extra = await create(outside, amount=1, capture_method="automatic")
        await shop.write("payments", sql, "never-heard-of", C, "refund")
        results = await shop.audit(processor_url=url, settle_s=-5.0)
        assert broken(results) == {"M5"}
        assert {one.id for one in results["M5"].offences} == {
            *(extra.id, refund.id, "never-heard-of")
        }
    results = await shop.audit(processor_url=url)
    assert results["M5"].note.startswith("not checked")
    assert broken(results) == set()


async def test_acknowledged_orders_are_there_and_nobody_elses(shop, tmp_path):
    log = tmp_path / "client.jsonl"
    lines = [{"key": f"key-of-{name}"} for name in "ABCDE"]
    lines += [{"key": "key-of-A", "order_id": str(A)}, {"key": "never-placed"}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert broken(await shop.audit(client_log=log)) == set()
    lost = {"key": "key-of-E", "order_id": str(EVENT)}
    log.write_text("".join(json.dumps(line) + "\n" for line in [*lines[1:], lost]))
    results = await shop.audit(client_log=log)
    assert broken(results) == {"D1"}
    assert {one.id for one in results["D1"].offences} == {str(EVENT)}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines[2:5]))
    results = await shop.audit(client_log=log)
    assert {one.id for one in results["D1"].offences} == {str(A), str(B)}
    since = {"since": datetime.now(UTC).isoformat()}
    log.write_text(json.dumps(since) + "\n")
    assert broken(await shop.audit(client_log=log)) == set()


async def test_what_is_young_is_left_alone(shop):
    await shop.write("inventory", f"delete from journal where order_id = '{A}'")
    await shop.write("inventory", "update stock set on_hand = 8")
    await shop.write("orders", f"update orders set changed_at = now() where id = '{A}'")
    assert broken(await shop.audit(settle_s=1.0)) == set()
    assert broken(await shop.audit(settle_s=0.0)) == {"S4"}


async def test_events_set_aside_are_shown_and_break_nothing(shop):
    sql = (
        "insert into set_aside (event_id, type, key, stream_seq, message, reason, state) "
        f"values ('{EVENT}', 'orders.order_placed.v1', 'k', 1, '{{}}', 'no such sku', 'dead')"
    )
    await shop.write("payments", sql)
    results = await shop.audit()
    assert broken(results) == set()
    assert [one.id for one in results["set aside"].offences] == [str(EVENT)]


async def test_services_without_tables_are_left_out(shop, new_database):
    del shop.audit_dsns["payments"]
    shop.audit_dsns["inventory"] = await new_database("inventory")
    results = await shop.audit()
    assert broken(results) == set()
    assert "payments has no tables" in results["M3"].note
    assert "inventory has no tables" in results["S4"].note


async def test_more_orders_than_one_piece_are_all_looked_at(shop):
    many = PIECE + 10
    columns = "principal, fingerprint, status, steps, payment_status, currency, locale, "
    columns += "payment_method, tax_included, items_minor, shipping_minor, shipping_net_minor, "
    columns += "shipping_tax_minor, shipping_rate_bp, tax_minor, grand_minor, placed_at, "
    columns += "pay_until, changed_at"
    await shop.write(
        "orders",
        f"insert into orders (id, number, idempotency_key, {columns}) "
        f"select gen_random_uuid(), 'n' || n, 'k' || n, {columns} "
        f"from orders, generate_series(1, {many}) n where id = '{A}'",
    )
    results = await shop.audit()
    assert results["S4"].checked == many + 5
    for law in ("M3", "O1", "M1"):
        assert results[law].count == many


async def test_a_watch_sees_what_happens_later(shop):
    looks = watch(shop.audit_dsns, settle_s=0.0, every_s=0.0)
    assert broken({one.law: one for one in await anext(looks)}) == set()
    await shop.write(
        "payments", f"update payments set amount_minor = 1, changed_at = now() where id = '{B}'"
    )
    for _ in range(2):
        results = {one.law: one for one in await anext(looks)}
        assert broken(results) == {"M4"}
        assert results["M4"].checked < 5  # not everything again
    await shop.write("payments", f"update payments set amount_minor = 2490 where id = '{B}'")
    assert broken({one.law: one for one in await anext(looks)}) == set()
    await looks.aclose()


async def test_the_command_tells_and_exits(shop, tmp_path):
    await shop.own("orders")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"database_urls": shop.audit_dsns}))

    async def say(*words):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "merkato", "audit", "--settle", "0", *words),
            env=os.environ | {"MERKATO_CONFIG": str(file), "MERKATO_HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, said.decode()

    status, said = await say()
    assert (status, said.splitlines()[-1]) == (0, "Every law that was checked holds.")
    await shop.write("orders", f"update orders set items_minor = 2001 where id = '{A}'")
    status, said = await say()
    assert status == 1
    assert f"M1 {A}: items 2001" in said
    assert said.splitlines()[-1] == "Broken: M1."
    status, said = await say("--json")
    [found] = [one for one in json.loads(said) if one["count"]]
    assert (status, found["law"], found["offences"][0]["id"]) == (1, "M1", str(A))
