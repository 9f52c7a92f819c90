"""What tests of notifications share: a mail server outside of us, and events about an order."""

import asyncio
import email
import email.policy
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import harness
from aiosmtpd.smtp import SMTP

from merkato import config
from merkato.contracts.orders import (
    CreditLine,
    Line,
    LinesShipped,
    OrderCancelled,
    OrderConfirmed,
    OrderCredited,
    OrderPlaced,
    Pieces,
    PiecesBack,
    ReturnReceived,
    ReturnRejected,
    ReturnRequested,
    ShipmentDelivered,
    Totals,
)
from merkato.contracts.values import Contact
from merkato.notifications.service import service

PATH = "/api/v1/notifications"


class Mailroom:
    """A mail server outside of us that keeps what it takes and refuses what it is told to."""

    def __init__(self):
        self.port, self.mails, self.sessions = 0, [], 0
        self.refuse, self.refuse_sender, self.refuse_data, self.lose = {}, [], [], 0
        self._server = None

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.sessions += 1
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.refuse_sender:
            return f"{self.refuse_sender.pop(0)} no"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if codes := self.refuse.get(address):
            return f"{codes.pop(0)} no"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.refuse_data:
            return f"{self.refuse_data.pop(0)} no"
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        self.mails.append((envelope.rcpt_tos, mail))
        if self.lose:
            self.lose -= 1
            server.transport.abort()
        return "250 OK"

    async def open(self):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, loop=loop, enable_SMTPUTF8=True), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]  # the same when it opens again

    async def close(self):
        if self._server is not None:
            self._server.close()
            self._server = None

    def ids(self):
        return [mail["Message-ID"] for _, mail in self.mails]


def office_of(alone):
    return alone.service.jobs[0].job.args[0]


@asynccontextmanager
async def shop(new_database, mailroom, apps=None, **settings):
    made = service(
        config.Config(
            public_url="https://shop.example",
            notifications=config.Notifications(
                smtp_url=f"smtp://127.0.0.1:{mailroom.port}",
                staff=("store@shop.example",),
                **settings,
            ),
        )
    )
    orders = harness.answering(200, {"tokens": {}})
    async with harness.alone(made, new_database, apps={"orders": orders} | (apps or {})) as alone:
        try:
            yield alone
        finally:
            office_of(alone).post.close()
            await asyncio.sleep(0)


ADA = Contact(email="ada@example.com", name="Ada Lovelace")


def order(kind=OrderConfirmed, *, customer_id=None, contact=ADA, locale="en", **more):
    line = Line(
        line_no=1, sku="TEA-1", quantity=2, title="Tea <Assam>", unit_price_minor=450,
        net_minor=756, tax_minor=144, gross_minor=900,
    )  # fmt: skip
    if kind is OrderPlaced:
        at = datetime(2026, 5, 4, tzinfo=UTC)
        more |= {"payment_method": "card", "placed_at": at, "pay_until": at}
    if kind is OrderCancelled:
        more = {"reason": "stock-lost", "was_confirmed": True} | more
    return kind(
        **{"order_id": uuid4(), "number": "K7QM-2F9X-4"} | more,
        customer_id=customer_id,
        lines=(line,),
        totals=Totals(items_minor=900, shipping_minor=490, tax_minor=222, grand_minor=1390),
        currency="EUR",
        locale=locale,
        contact=contact,
    )


def after_sale(order_id, me=None, locale="en", contact=ADA):
    """One of each event of an order's life after the sale."""
    about = {
        "order_id": order_id, "number": "K7QM-2F9X-4", "customer_id": me, "currency": "EUR",
        "locale": locale, "contact": contact,
    }  # fmt: skip
    pieces = Pieces(line_no=1, sku="TEA-1", title="Tea <Assam>", quantity=1)
    back = PiecesBack(line_no=1, sku="TEA-1", title="Tea <Assam>", quantity=1, restocked=1)
    credited = CreditLine(
        line_no=1, sku="TEA-1", title="Tea <Assam>", quantity=1, net_minor=378, tax_minor=72,
        gross_minor=450,
    )  # fmt: skip
    credit = {"amount_minor": 450, "lines": (credited,), "credited_minor": 450, "complete": False}
    shipment, return_id = uuid4(), uuid4()
    return (
        LinesShipped(
            **about, shipment_id=shipment, lines=(pieces,), carrier="DHL", tracking="JD0146",
            tracking_url="https://dhl.example/?n=JD0146", complete=False,
        ),
        ShipmentDelivered(**about, shipment_id=shipment, lines=(pieces,)),
        ReturnRequested(**about, return_id=return_id, lines=(pieces,)),
        ReturnReceived(**about, return_id=return_id, lines=(back,)),
        ReturnRejected(**about, return_id=uuid4(), lines=(pieces,), reason="Worn."),
        OrderCredited(**about, credit_id=uuid4(), kind="return", reason="As agreed.", **credit),
        OrderCredited(**about, credit_id=uuid4(), kind="cancellation", **credit),
    )  # fmt: skip


async def due_now(alone):
    """Let every pause be over, and every lease."""
    office_of(alone).post.found()
    async with alone.db.transaction() as tx:
        await tx.execute("update due set due_at = now() - interval '1 s'")


async def states(alone):
    rows = await alone.fetch("select template, state, tries from messages order by created_at, id")
    return [(row["template"], row["state"], row["tries"]) for row in rows]
