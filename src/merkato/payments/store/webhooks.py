"""What processors told us, as it came, and the operations it speaks of."""

from collections.abc import Sequence
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.payments.domain.payment import Notice

KEEP = """
insert into webhooks (event_id, provider, type, reference, key, body)
values ($1, $2, $3, $4, $5, $6) on conflict do nothing
"""


async def keep(tx: Tx, notice: Notice, provider: str, body: str) -> None:
    """Keep a webhook as it came, unless its event was here before."""
    told = (notice.event_id, provider, notice.type, notice.reference, notice.key, body)
    await tx.execute(KEEP, *told)


LOOK = """
with looked as (
    select event_id, type, reference, key from webhooks
     where look_at <= clock_timestamp() order by look_at limit $1 for update skip locked
), asked as (
    update operations o set ask_at = least(o.ask_at, clock_timestamp())
      from looked l, payments p
     where p.id = o.payment_id and (o.reference = l.reference or o.key = l.key)
       and (o.state in ('unknown', 'action_required')
            or o.state = 'succeeded' and o.kind = 'refund' and l.type like '%refund%'
            or o.state = 'sent' and o.kind = 'refund' and o.reference is not null
               and (l.type like '%refund%' or l.type like 'charge.dispute.%')
            or o.state = 'succeeded' and o.kind = 'authorise' and l.type like '%canceled'
            or p.state in ('authorised', 'declined', 'voided') and o.kind = 'authorise'
               and o.state <> 'sent' and l.type like '%succeeded')
), found as (
    select l.event_id, exists (select from operations o
                                where o.reference = l.reference or o.key = l.key) as known
      from looked l
)
update webhooks w
   set tries = tries + 1,
       look_at = case when f.known or w.received_at < clock_timestamp() - interval '1 hour'
                      then null
                      else clock_timestamp() + make_interval(secs => least(60, 1 << tries)) end
  from found f where w.event_id = f.event_id
"""


async def look_at(tx: Tx, limit: int) -> int:
    """Have the provider asked about what webhooks speak of; park those about what is not here.

    What is being asked about now, or soon, is left alone. Gives how many were looked at.
    """
    return await tx.execute(LOOK, limit)


FORGET = """
update webhooks w set body = '' from operations o
 where o.payment_id = any($1) and (w.reference = o.reference or w.key = o.key) and w.body <> ''
"""


async def forget(tx: Tx, payment_ids: Sequence[UUID]) -> None:
    """Blank what processors told us about payments; that they told it stays."""
    await tx.execute(FORGET, list(payment_ids))
