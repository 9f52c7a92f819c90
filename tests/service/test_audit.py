"""Each law is broken once on purpose, and the audit names just that law and who breaks it."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from audited_shop import A, B, Books, C, D, old_id, untouched
from service.test_outside_running import create, processing

from merkato.audit import watch
from merkato.audit.laws import LAWS
from merkato.audit.reading import PIECE

EVENT = old_id()
LET = "alter table {} disable trigger user"
OPERATION_OF = f"(select id from operations where payment_id = '{A}' and kind = 'authorise')"
HEARD_OF_A = (
    "delete from inbox where event_id = (select min(event_id::text)::uuid from inbox) "
    "returning event_id"
)
MAIL_OF = "insert into messages (id, channel, fact, template, locale, recipient, data, state{}) "

# law, service, what is written there, whose id is named
PLANTED = [
    ("S1", "inventory", "update stock set on_hand = on_hand + 1", "tea"),
    ("S1", "inventory", "delete from journal where kind = 'initial'", "tea"),
    ("S2", "inventory", "update stock set reserved = reserved + 1", "tea"),
    (
        "S3",
        "inventory",
        "alter table stock drop constraint stock_check;"
        "insert into stock (sku, reserved) values ('ghost', 1);"
        f"insert into reservation_lines (order_id, sku, quantity) values ('{D}', 'ghost', 1)",
        "ghost",
    ),
    (
        "S4",  # a confirmed order took less than its goods
        "inventory",
        f"update journal set delta = -1 where order_id = '{A}'; update stock set on_hand = 7",
        A,
    ),
    (
        "S4",  # of a cancelled order something is still missing
        "inventory",
        f"delete from journal where order_id = '{C}' and kind = 'returned';"
        "update stock set on_hand = 4",
        C,
    ),
    (
        "S4",  # goods came back that nobody gave back
        "inventory",
        "insert into journal (location, sku, delta, kind, order_id, actor) "
        f"values ('main', 'tea', 1, 'returned', '{B}', ''); update stock set on_hand = 7",
        B,
    ),
    (
        "S5",
        "inventory",
        f"update reservations set state = 'held' where order_id = '{B}';"
        "update stock set reserved = 4",
        B,
    ),
    (
        "S5",  # nobody ordered it, and its minute is over
        "inventory",
        "insert into reservations (order_id, body, state, principal, expires_at, changed_at) "
        f"values ('{EVENT}', '', 'held', '', now() - interval '1 h', now() - interval '1 h')",
        EVENT,
    ),
    ("M1", "orders", f"update orders set items_minor = 2001 where id = '{A}'", A),
    ("M1", "orders", f"update order_lines set unit_price_minor = 999 where order_id = '{B}'", B),
    (
        "M1",
        "orders",
        "alter table order_lines drop constraint order_lines_check;"
        f"update order_lines set net_minor = 1666 where order_id = '{A}'",
        A,
    ),
    ("M2", "payments", f"update payments set refunding_minor = 1 where id = '{B}'", B),
    ("M2", "payments", f"update payments set captured_minor = 1 where id = '{B}'", B),
    (
        "M3",  # a confirmed order that nobody paid
        "payments",
        f"update operations set state = 'failed' where payment_id = '{B}' and kind = 'capture';"
        f"update payments set captured_minor = 0 where id = '{B}'",
        B,
    ),
    (
        "M3",  # a cancelled order whose money was kept
        "payments",
        f"update operations set state = 'failed' where payment_id = '{C}' and kind = 'refund';"
        f"update payments set refunded_minor = 0 where id = '{C}'",
        C,
    ),
    ("M3", "payments", f"update payments set state = 'unknown' where id = '{C}'", C),
    (
        "M4",
        "payments",
        "alter table payments drop constraint payments_order_id_key;"
        "insert into payments (id, order_id, wanted, method, amount_minor, currency, state) "
        f"values ('{EVENT}', '{A}', 'nothing', 'card', 2490, 'EUR', 'voided');"
        "update payments set changed_at = now() - interval '1 h'",
        A,
    ),
    ("M4", "payments", f"update payments set amount_minor = 1 where id = '{B}'", B),
    ("M4", "payments", f"update payments set currency = 'USD' where id = '{B}'", B),
    (
        "M6",
        "payments",
        LET.format("entries") + ";insert into entries (operation_id, posting, account, "
        "amount_minor, currency, order_id, payment_id) "
        f"values ({OPERATION_OF}, 2, 'bank', 5, 'EUR', '{A}', '{A}')",
        OPERATION_OF,
    ),
    (
        "M7",
        "payments",
        "insert into entries (operation_id, posting, account, amount_minor, currency, order_id, "
        f"payment_id) values ({OPERATION_OF}, 2, 'customer', -5, 'EUR', '{A}', '{A}'), "
        f"({OPERATION_OF}, 2, 'receivable', 5, 'EUR', '{A}', '{A}')",
        "EUR",
    ),
    (
        "O1",  # a step that is none
        "orders",
        f"update timeline set from_status = 'cancelled' where order_id = '{A}' and n = 2",
        A,
    ),
    ("O1", "orders", f"update orders set steps = 5 where id = '{B}'", B),
    ("O1", "orders", f"update order_lines set shipped = 1 where order_id = '{C}'", C),
    (
        "O2",
        "orders",
        f"update orders set payment_status = 'due' where id = '{D}'",
        D,
    ),
    (
        "O2",  # its customer's time is over
        "orders",
        f"update orders set pay_until = now() - interval '2 min' where id = '{D}'",
        D,
    ),
    (
        "I1",
        "orders",
        "alter table orders drop constraint orders_principal_idempotency_key_key;"
        f"update orders set principal = 'one', idempotency_key = 'one' where id in ('{A}', '{B}')",
        A,
    ),
    ("N1", "notifications", f"delete from messages where fact = '{A}.confirmed'", A),
    (
        "N1",  # confirmed twice, to two people
        "notifications",
        MAIL_OF.format(", sent_at") + f"values ('{EVENT}', 'email', '{B}.confirmed', "
        "'order_confirmed', 'en', 'bob@merkato.example', '{}', 'sent', now())",
        B,
    ),
    (
        "N1",  # never confirmed
        "notifications",
        MAIL_OF.format(", sent_at") + f"values ('{EVENT}', 'email', '{D}.confirmed', "
        "'order_confirmed', 'en', 'bob@merkato.example', '{}', 'sent', now())",
        D,
    ),
    (
        "N1",  # queued, and nobody will send it
        "notifications",
        MAIL_OF.format("") + f"values ('{EVENT}', 'email', 'a-fact', 'stock_low', 'en', "
        "'bob@merkato.example', '{}', 'queued')",
        "a-fact",
    ),
    (
        "E1",  # a step that nobody heard of
        "orders",
        f"delete from outbox where key = '{A}' and sequence = 2",
        A,
    ),
    ("E1", "orders", f"update outbox set sequence = 3 where key = '{A}' and sequence = 2", A),
    ("E1", "orders", f"update outbox set sequence = sequence + 1 where key = '{D}'", D),
    (
        "E1",  # said twice
        "orders",
        "insert into outbox (id, type, key, sequence, body, published_at) "
        f"values ('f{str(EVENT)[1:]}', 'orders.order_confirmed.v1', '{A}', 3, '{{}}', now())",
        A,
    ),
    (
        "E1",  # not published; outboxes of every service are looked at
        "catalog",
        "insert into outbox (id, type, key, sequence, body, said_at) values "
        f"('{EVENT}', 'catalog.product_changed.v1', 'p', 1, '{{}}', now() - interval '31 s')",
        EVENT,
    ),
    ("E1", "inventory", HEARD_OF_A, None),
]


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
    assert results["S4"].checked == 4
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


async def test_every_law_has_its_offence():
    here = {"M5", "D1"}  # shown below
    assert {law for law, *_ in PLANTED} | here == set(LAWS)
    assert here.isdisjoint(law for law, *_ in PLANTED)


async def test_what_the_processor_took_is_what_we_say(shop, tmp_path):
    async with processing(tmp_path) as outside:
        url = outside.url
        intent = await create(outside, amount=2490, capture_method="automatic")
        other = await create(outside, amount=2490, capture_method="automatic")
        refund = await outside.stripe().v1.refunds.create_async({"payment_intent": other.id})
        for kind, order, reference in (
            ("capture", B, intent.id),
            ("capture", C, other.id),
            ("refund", C, refund.id),
        ):
            sql = "update operations set reference = $1 where payment_id = $2 and kind = $3"
            await shop.write("payments", sql, reference, order, kind)
        results = await shop.audit(processor_url=url)
        assert broken(results) == set()
        assert results["M5"].checked == 3
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
    lines = [{"key": f"key-of-{name}"} for name in "ABCD"]
    lines += [{"key": "key-of-A", "order_id": str(A)}, {"key": "never-placed"}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert broken(await shop.audit(client_log=log)) == set()
    lost = {"key": "key-of-E", "order_id": str(EVENT)}
    log.write_text("".join(json.dumps(line) + "\n" for line in [*lines[1:], lost]))
    results = await shop.audit(client_log=log)
    assert broken(results) == {"D1"}
    assert {one.id for one in results["D1"].offences} == {str(EVENT)}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines[2:4]))
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
    assert results["S4"].checked == many + 4
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
        assert results["M4"].checked < 4  # not everything again
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
