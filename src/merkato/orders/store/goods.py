"""Statements that open an order for a change of its goods or its money, and write that change."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from merkato.chassis.db import Row, Tx
from merkato.orders.domain.goods import Goods

LOCK = """
select o.id as order_id, o.number, o.customer_id, o.principal, o.status, o.payment_status,
       o.payment_method, o.steps, o.currency, o.locale, o.grand_minor, o.credited_minor,
       o.captured_minor, o.refunded_minor, o.shipping_minor, o.shipping_tax_minor,
       o.credited_shipping_minor, o.credited_shipping_tax_minor, c.contact, c.shipping_address
  from orders o join order_contacts c on c.order_id = o.id
 where o.id = $1 for no key update of o
"""


async def lock(tx: Tx, order_id: UUID) -> Row | None:
    """Read an order and keep others from changing it."""
    return await tx.fetchrow(LOCK, order_id)


GOODS = """
select line_no, sku, title, quantity, tracked, tax_minor, gross_minor, cancelled, shipped,
       delivered, announced, returned, restocked, credited_minor, credited_tax_minor
  from order_lines where order_id = $1 order by line_no
"""


async def goods(tx: Tx, order_id: UUID) -> dict[int, Goods]:
    """Read the lines of a locked order, by number."""
    rows = await tx.fetch(GOODS, order_id)
    return {row["line_no"]: msgspec.convert(dict(row), Goods) for row in rows}


PUT_GOODS = """
update order_lines l
   set cancelled = n.cancelled, shipped = n.shipped, delivered = n.delivered,
       announced = n.announced, returned = n.returned, restocked = n.restocked,
       credited_minor = n.credited_minor, credited_tax_minor = n.credited_tax_minor
  from unnest($2::int[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[],
              $9::bigint[], $10::bigint[])
       n(line_no, cancelled, shipped, delivered, announced, returned, restocked, credited_minor,
         credited_tax_minor)
 where l.order_id = $1 and l.line_no = n.line_no
"""


async def put_goods(tx: Tx, order_id: UUID, changed: Sequence[Goods]) -> None:
    """Write the counters of lines of a locked order."""
    rows = [
        (
            g.line_no, g.cancelled, g.shipped, g.delivered, g.announced, g.returned, g.restocked,
            g.credited_minor, g.credited_tax_minor,
        )
        for g in changed
    ]  # fmt: skip
    await tx.execute(PUT_GOODS, order_id, *(list(column) for column in zip(*rows, strict=True)))


PUT_ORDER = """
update orders set payment_status = $2, fulfilment_status = $3, steps = $4, credited_minor = $5,
       credited_shipping_minor = $6, credited_shipping_tax_minor = $7, changed_at = $8
 where id = $1
"""


async def put_order(
    tx: Tx, order_id: UUID, payment_status: str, fulfilment_status: str, steps: int,
    credited_minor: int, shipping: tuple[int, int], now: datetime,
) -> None:  # fmt: skip
    """Write what changed of a locked order; `shipping`: what of it was credited, and the tax."""
    await tx.execute(
        PUT_ORDER, order_id, payment_status, fulfilment_status, steps, credited_minor, *shipping,
        now,
    )  # fmt: skip


ADD_SHIPMENT = """
with shipment as (
    insert into shipments (id, order_id, carrier, tracking, tracking_url, shipped_at, actor)
    values ($1, $2, $3, $4, $5, $6, $7))
insert into shipment_lines (shipment_id, line_no, quantity)
select $1, * from unnest($8::int[], $9::int[])
"""


async def add_shipment(
    tx: Tx, shipment_id: UUID, order_id: UUID, by: tuple[str | None, str | None, str | None],
    now: datetime, actor: str, pieces: Sequence[tuple[int, int]],
) -> None:  # fmt: skip
    """Write a shipment; `by`: carrier, tracking number and link; `pieces`: line, quantity."""
    await tx.execute(
        ADD_SHIPMENT, shipment_id, order_id, *by, now, actor, [i for i, _ in pieces],
        [n for _, n in pieces],
    )  # fmt: skip


SHIPMENT = """
select s.order_id, s.delivered_at, array_agg(l.line_no order by l.line_no) as line_nos,
       array_agg(l.quantity order by l.line_no) as quantities
  from shipments s join shipment_lines l on l.shipment_id = s.id where s.id = $1 group by s.id
"""


async def shipment(tx: Tx, shipment_id: UUID) -> Row | None:
    """Read a shipment; for a decision its order must be locked."""
    return await tx.fetchrow(SHIPMENT, shipment_id)


DELIVERED = "update shipments set delivered_at = $2 where id = $1"


async def delivered(tx: Tx, shipment_id: UUID, now: datetime) -> None:
    """Note that a shipment arrived."""
    await tx.execute(DELIVERED, shipment_id, now)


ADD_CREDIT = """
with credit as (
    insert into credits (id, order_id, kind, amount_minor, return_id, reason, actor)
    values ($1, $2, $3, $4, $5, $6, $7))
insert into credit_lines (credit_id, line_no, quantity, net_minor, tax_minor, gross_minor)
select $1, * from unnest($8::int[], $9::int[], $10::bigint[], $11::bigint[], $12::bigint[])
"""


async def add_credit(
    tx: Tx, credit_id: UUID, order_id: UUID, kind: str, amount_minor: int, return_id: UUID | None,
    reason: str | None, actor: str, parts: Sequence[tuple[int, int, int, int, int]],
) -> None:  # fmt: skip
    """Write a credit; `parts`: line (0: shipping), quantity, net, tax, gross."""
    await tx.execute(
        ADD_CREDIT, credit_id, order_id, kind, amount_minor, return_id, reason, actor,
        *(list(column) for column in zip(*parts, strict=True)),
    )  # fmt: skip
