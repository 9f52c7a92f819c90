"""A small shop at rest, written straight into the databases of its services, for audits to read.

Five orders: A on account and confirmed, B by card and confirmed, C confirmed, then cancelled and
refunded, D declined, which waits for its customer, E by card, shipped, and half of it returned.
"""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
from harness import migrated

from merkato.audit import audit
from merkato.broker import handlers as broker
from merkato.chassis.engines import provision
from merkato.chassis.ids import first_id, new_id
from merkato.config import SERVICES
from merkato.contracts.trail import NOTED
from merkato.inventory import handlers as inventory
from merkato.notifications import handlers as notifications
from merkato.payments import handlers as payments
from merkato.users.domain.trail import chained

A, B, C, D, E = (UUID(f"{letter * 8}-0000-8000-8000-000000000000") for letter in "abcde")
ENTRIES = [UUID(f"ffffffff-0000-7000-8000-{n:012x}") for n in (1, 2)]  # of the audit trail
AGO = datetime.now(UTC) - timedelta(hours=1)
GRAND = 2_490  # 2 × tea at 1000 and shipping at 490; 20 % of the 2000, 90 of the 490 are tax

ORDER = """
insert into orders (id, number, principal, idempotency_key, fingerprint, status, reason, steps,
                    payment_status, currency, locale, payment_method, tax_included, items_minor,
                    shipping_minor, shipping_net_minor, shipping_tax_minor, shipping_rate_bp,
                    tax_minor, grand_minor, credited_minor, placed_at, pay_until, changed_at)
values ($1::uuid, $2::text, 'user:' || $1::uuid, 'key-of-' || $2::text, '\\x00', $3, $4, $5, $6,
        'EUR', 'en', $7, true, 2000, 490, 400, 90, 2250, 423, 2490, $8, $9, $10, $9)
"""
LINE = """
insert into order_lines (order_id, line_no, sku, quantity, title, options, price_list,
                         list_price_minor, unit_price_minor, tax_class, rate_bp, net_minor,
                         tax_minor, gross_minor, tracked, requires_shipping)
values ($1, 1, 'tea', 2, 'Tea', '{}', 'standard', 1000, 1000, 'standard', 2000, 1667, 333, 2000,
        true, true)
"""
STEP = """
insert into timeline (order_id, n, what, from_status, to_status, at, actor)
values ($1, $2, coalesce($4::text, 'payment_declined'), $3, $4::text, $5, 'test')
"""
SAY = """
insert into outbox (id, type, key, sequence, body, said_at, published_at, stream_seq)
values ($1, $2, $3, $4, '{}', $5, $5, 1)
"""
SAY_NOTED = """
insert into outbox (id, type, key, sequence, body, said_at, published_at, stream_seq)
values ($1, $2, $3, 1, $4, $5, $5, 1)
"""
HOLD = """
insert into reservations (order_id, body, state, kept, principal, expires_at, changed_at)
values ($1, '\\x00', $2, true, '', $3, $3)
"""
PAYMENT = """
insert into payments (id, order_id, wanted, method, amount_minor, currency, state, attempt,
                      authorised_minor, captured_minor, refunded_minor, pay_until, created_at,
                      changed_at)
values ($1, $1, $2, $3, 2490, 'EUR', $4, 1, $5, $6, $7, $8, $8, $8)
"""
OPERATION = """
insert into operations (id, payment_id, kind, key, attempt, method, amount_minor, currency, state,
                        reference, created_at, ended_at, credit_id)
values ($1, $2, $3, $4, 1, $5, $6, 'EUR', $7, $8, $9, $9, $10)
"""
ENTRY = """
insert into entries (operation_id, posting, account, amount_minor, currency, order_id, payment_id)
select $1::uuid, 1, account, amount, 'EUR', $2::uuid, $2::uuid
  from unnest($3::text[], $4::bigint[]) e(account, amount)
"""
# Of E one piece of two came back: 1000 of 2000, and 166 of the 333 of its tax.
AFTER_SALE = """
update order_lines set shipped = 2, delivered = 2, returned = 1, restocked = 1,
       credited_minor = 1000, credited_tax_minor = 166 where order_id = $1;
insert into shipments (id, order_id, shipped_at, delivered_at, actor) values ($1, $1, $2, $2, '');
insert into shipment_lines values ($1, 1, 2);
insert into returns (id, order_id, status, actor, requested_at, decided_at)
values ($1, $1, 'received', '', $2, $2);
insert into return_lines values ($1, 1, 1, 'other', 1, 1);
insert into credits (id, order_id, kind, amount_minor, return_id, actor)
values ($1, $1, 'return', 1000, $1, '');
insert into credit_lines values ($1, 1, 1, 834, 166, 1000);
update orders set fulfilment_status = 'partly_returned', credited_minor = 1000 where id = $1
"""
# Of C all was credited when it was cancelled.
CREDITED = """
update order_lines set cancelled = 2, credited_minor = 2000, credited_tax_minor = 333
 where order_id = $1;
update orders set credited_shipping_minor = 490, credited_shipping_tax_minor = 90 where id = $1;
insert into credits (id, order_id, kind, amount_minor) values ($1, $1, 'cancellation', 2490);
insert into credit_lines values ($1, 1, 2, 1667, 333, 2000), ($1, 0, 0, 400, 90, 490)
"""
MAIL = """
insert into messages (id, channel, fact, template, locale, recipient, data, state, created_at,
                      sent_at)
values ($1, 'email', $2, $3, 'en', 'ada@merkato.example', '{}', 'sent', $4, $4)
"""
HOOK = UUID("eeeeeeee-0000-7000-8000-000000000000")
LOGGED = [UUID(f"ffffffff-0000-7000-8000-00000000000{n}") for n in (1, 2)]
AT = int(datetime.now(UTC).timestamp() * 1000) << 20  # a position in the log
WEBHOOK = """
insert into subscriptions (id, url, description, topics, ordered, secret, began, position,
                           created_by)
values ($1, 'https://merkato.example', '', '{}', false, '\\x00', $2, $3, 'test')
"""
DELIVERY = """
insert into deliveries (id, subscription_id, position, event_id, type, key, state, tries, attempts,
                        created_at, ended_at)
values ($1, $2, $3, $1, 't.v1', 'k', 'delivered', 1, 1, $4, $4)
"""
ACCOUNTS = {
    "authorise": ("receivable", "customer"),
    "capture": ("processor", "receivable"),
    "refund": ("customer", "processor"),
}


CREDIT = '[{{"id": "{}", "amount_minor": 1000}}]'
HEARERS = {
    service: {event.type for event in heard}
    for service, heard in (
        ("broker", broker.HEARS), ("inventory", inventory.HEARS), ("payments", payments.HEARS),
        ("notifications", notifications.TOLD),
    )
}  # fmt: skip


def old_id():
    """An event's id of an hour ago."""
    return UUID(int=first_id(AGO).int | (new_id().int & ((1 << 60) - 1)))


class Story:
    """What was written while four orders were placed and ended: (service, SQL, values)."""

    def __init__(self):
        self.writes = []
        self.write("inventory", "insert into stock (sku, on_hand, reserved) values ('tea', 6, 2)")
        self.journal(11, "initial", None)
        ends = ("placed", "confirmed"), ("placed", "confirmed", "cancelled"), ("placed",)
        self.order(A, "A", ends[0], "authorised", "on_account", "committed")
        self.order(B, "B", ends[0], "paid", "card", "committed")
        self.order(C, "C", ends[1], "refunded", "card", "released")
        self.order(D, "D", ends[2], "declined", "card", "held")
        self.order(E, "E", ends[0], "partly_refunded", "card", "committed")
        self.after_sale(E)
        self.coupon(("used", A), ("freed", C), ("held", D))
        self.webhook()
        self.payment(A, "on_account", "authorised", "authorise")
        self.payment(B, "card", "captured", "authorise", "capture")
        self.payment(C, "card", "captured", "authorise", "capture", "refund")
        self.payment(D, "card", "declined")
        self.payment(E, "card", "captured", "authorise", "capture", "refund", refunded=1000)
        self.noted("catalog.product_made", "orders.order_cancelled")

    def webhook(self):
        """An endpoint that wants all, two events in the log, delivered both."""
        logged = "insert into log values ($1, $2, 't.v1', 'k', '{}')"
        tried = "insert into attempts values ($1, 1, $2, 200, null, 7)"
        self.write("broker", "select prepare_log($1)", AT - (86_400_000 << 20))
        for n, event in enumerate(LOGGED, 1):
            self.write("broker", logged, AT + n, event)
        self.write("broker", WEBHOOK, HOOK, AT, AT + 2)
        for n, event in enumerate(LOGGED, 1):
            self.write("broker", DELIVERY, event, HOOK, AT + n, AGO)
            self.write("broker", tried, event, AGO)

    def write(self, service, sql, *values):
        self.writes.append((service, sql, values))

    def coupon(self, *uses):
        """A coupon that one customer held for some orders; sent free, so no sum is another."""
        had = sum(state != "freed" for state, _ in uses)
        sql = "insert into coupons (code, kind, uses, uses_max) "
        self.write("orders", sql + "values ('TEA', 'free_shipping', $1, 3)", had)
        self.write("orders", "insert into coupon_customers values ('TEA', 'user:1', $1)", had)
        for state, order_id in uses:
            self.write("orders", "update orders set coupon = 'TEA' where id = $1", order_id)
            sql = "insert into coupon_uses (order_id, code, customer, state) "
            self.write("orders", sql + "values ($1, 'TEA', 'user:1', $2)", order_id, state)

    def journal(self, delta, kind, order_id, source=None):
        sql = (
            "insert into journal (location, sku, delta, kind, order_id, actor, source) "
            "values ('main', 'tea', $1, $2, $3, 'test', $4)"
        )
        self.write("inventory", sql, delta, kind, order_id, source)

    def order(self, id, number, life, payment_status, method, hold):
        cancelled = life[-1] == "cancelled"
        steps = len(life) + (payment_status == "declined")
        later = datetime.now(UTC) + timedelta(hours=1)
        self.write("orders", ORDER, id, number, life[-1], "customer" if cancelled else None, steps,
                   payment_status, method, GRAND if cancelled else 0, AGO, later)  # fmt: skip
        self.write("orders", LINE, id)
        self.write("orders", "insert into order_contacts values ($1, '{}')", id)
        before = None
        for n, step in enumerate(life, 1):
            self.write("orders", STEP, id, n, before, step, AGO)
            self.say(id, n, step)
            mail = f"{id}.{step}", f"order_{step}", AGO
            self.write("notifications", MAIL, new_id(), *mail)
            before = step
        if payment_status == "declined":
            self.write("orders", STEP, id, steps, None, None, AGO)
        self.write("inventory", HOLD, id, hold, AGO)
        line = "insert into reservation_lines (order_id, sku, quantity) values ($1, 'tea', 2)"
        self.write("inventory", line, id)
        if "confirmed" in life:
            self.journal(-2, "committed", id)
        if cancelled:
            self.journal(2, "returned", id)

        if cancelled:
            self.each("orders", CREDITED, id)

    def each(self, service, statements, *values):
        """Write several statements; values are named once for all."""
        for sql in statements.split(";"):
            used = values[: max(int(n) for n in re.findall(r"\$(\d)", sql))]
            self.write(service, sql, *used)

    def after_sale(self, id):
        self.each("orders", AFTER_SALE, id, AGO)
        self.journal(1, "returned", id, source=id)
        steps = "lines_shipped", "shipment_delivered", "return_received", "order_credited"
        for n, step in enumerate(steps, 3):
            sql = "insert into timeline (order_id, n, what, at, actor) values ($1, $2, $3, $4, '')"
            self.write("orders", sql, id, n, step, AGO)
            self.say(id, n, step)
        self.write("orders", "update orders set steps = 6 where id = $1", id)

    def say(self, order_id, n, step):
        event, kind = old_id(), f"orders.{step}.v1" if "_" in step else f"orders.order_{step}.v1"
        self.write("orders", SAY, event, kind, str(order_id), n, AGO)
        for service, heard in HEARERS.items():
            if kind in heard:
                self.write(service, "insert into inbox (event_id) values ($1)", event)

    def noted(self, *actions):
        entries = [
            NOTED[action.partition(".")[0]](
                entry_id=id, at=AGO, actor="user:1", action=action, subject="thing:1"
            )
            for id, action in zip(ENTRIES, actions, strict=True)
        ]
        for entry, link in zip(entries, chained(0, b"", entries), strict=True):
            event, service = old_id(), entry.type.partition(".")[0]
            told = event, entry.type, entry.key, link.body, AGO
            self.write(service, SAY_NOTED, *told)
            self.write("users", "insert into inbox (event_id) values ($1)", event)
            self.write("users", "insert into trail (n, at, body, hash) values ($1, $2, $3, $4)",
                       link.n, link.at, link.body, link.hash)  # fmt: skip
            self.write("users", "update trail_head set n = $1, hash = $2", link.n, link.hash)

    def payment(self, order_id, method, state, *done, refunded=GRAND):
        amounts = {kind: refunded if kind == "refund" else GRAND for kind in done}
        sums = [amounts.get(kind, 0) for kind in ("authorise", "capture", "refund")]
        wanted = "nothing" if sums[2] == GRAND else "pay"
        self.write("payments", PAYMENT, order_id, wanted, method, state, *sums, AGO)
        if wanted == "pay" and sums[2]:
            sql = "update payments set credits = $2 where id = $1"
            self.write("payments", sql, order_id, CREDIT.format(order_id))
        for kind in done or ("authorise",):
            id, state = new_id(), "succeeded" if done else "failed"
            reference = f"{kind}-of-{order_id}" if method == "card" else None
            amount = amounts.get(kind, GRAND)
            credit = order_id if wanted == "pay" and kind == "refund" else None
            self.write("payments", OPERATION, id, order_id, kind, f"{order_id}:{kind}", method,
                       amount, state, reference, AGO, credit)  # fmt: skip
            if done:
                both = [amount, -amount]
                self.write("payments", ENTRY, id, order_id, list(ACCOUNTS[kind]), both)


STORY = Story()


def _telling(service):
    """A service's part of the story: the key of its template database."""

    async def tell(dsn):
        await migrated(dsn, service)
        connection = await asyncpg.connect(dsn)
        for where, sql, values in STORY.writes:
            if where == service:
                await connection.execute(sql, *values)
        await connection.close()

    return tell


TELLING = {service: _telling(service) for service in SERVICES}


class Books:
    """The databases of a shop, as the auditor reads them; what is written to is copied before."""

    def __init__(self, untouched, new_database, engines):
        self._new_database, self._engines = new_database, engines
        self._connections = {}
        self.audit_dsns = dict(untouched)

    async def own(self, service):
        """A connection to write with, to a copy that is this test's alone."""
        if service not in self._connections:
            dsn = await self._new_database(service, prepare=TELLING[service])
            self._connections[service] = await asyncpg.connect(dsn)
            self.audit_dsns[service] = as_auditor(self._engines, dsn)
        return self._connections[service]

    async def write(self, service, sql, *values):
        return await (await self.own(service)).execute(sql, *values)

    async def fetchval(self, service, sql):
        return await (await self.own(service)).fetchval(sql)

    async def audit(self, **options):
        """Every result by law."""
        options = {"settle_s": 0.0} | options
        return {one.law: one for one in await audit(self.audit_dsns, **options)}

    async def close(self):
        for connection in self._connections.values():
            await connection.close()


def as_auditor(engines, dsn):
    """The same database, for the role that only reads."""
    password = engines.secrets.postgres["audit"]
    name = urlsplit(dsn).path[1:]
    return provision.dsn(engines.admin_dsn, provision.role("audit"), password, name)


async def untouched(new_database, engines):
    """The databases that every test may read."""
    return {
        name: as_auditor(engines, await new_database(name, prepare=TELLING[name]))
        for name in SERVICES
    }
