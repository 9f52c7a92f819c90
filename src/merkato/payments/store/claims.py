"""Operations that a process takes to ask the provider about."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.payments.domain.payment import Operation

LEASE_S = 30  # longer than a provider may take; then the question is asked again

CLAIM = """
with due as (
    select p.id from payments p join operations o on o.payment_id = p.id
     where o.ask_at <= clock_timestamp() order by o.ask_at limit $1 for update of p skip locked
), claimed as (
    update operations o
       set ask_at = clock_timestamp() + make_interval(secs => $2), tries = o.tries + 1,
           state = case when o.state = 'intent' then 'sent' else o.state end
      from due where o.payment_id = due.id and o.ask_at <= clock_timestamp()
    returning o.*
), moved as (
    update payments p set state = 'sent', version = version + 1
      from claimed c where p.id = c.payment_id and p.state = 'due' and c.kind = 'authorise'
)
select c.payment_id, p.order_id, p.wanted, c.id, c.kind, c.key, c.attempt, c.method,
       c.amount_minor, c.currency, c.state, c.reference, c.origin, c.payment_token, c.url,
       c.reason, c.credit_id, c.tries,
       extract(epoch from clock_timestamp() - c.created_at)::int as age_s
  from claimed c join payments p on p.id = c.payment_id
"""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that this process alone asks about for LEASE_S."""

    payment_id: UUID
    order_id: UUID
    wanted: str
    age_s: int
    operation: Operation


async def claim(tx: Tx, limit: int) -> list[Claim]:
    """Take operations that are due to be asked, at most of `limit` payments; note them as sent."""
    claims = []
    for row in await tx.fetch(CLAIM, limit, LEASE_S):
        fields = dict(row)
        about = {n: fields.pop(n) for n in ("payment_id", "order_id", "wanted", "age_s")}
        claims.append(Claim(**about, operation=Operation(**fields)))
    return claims


ASKED = "update operations set ask_at = null where key = any($1::text[])"


async def asked(tx: Tx, keys: Sequence[str]) -> None:
    """Note that there is no more to ask about operations; their payments must be locked."""
    await tx.execute(ASKED, keys)
