"""The ledger, for staff."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import get
from litestar.params import Parameter

from merkato.chassis.db import Database
from merkato.chassis.http import Cursor, Limit, Page, decode_cursor, encode_cursor, staff
from merkato.payments.store import views

Accounts = Literal["receivable", "customer", "processor", "bank"]


@get("/api/v1/ledger", policy=staff("payments:read"))
async def ledger(
    db: Database,
    order_id: UUID | None = None,
    account: Annotated[Accounts | None, Parameter(query="account")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[views.EntryView]:
    """List the ledger's entries, newest first; each posting's amounts sum to zero."""
    before = decode_cursor(cursor, tuple[int])
    async with db.reading() as tx:
        entries = await views.ledger(
            tx, order_id, account, before[0] if before else None, limit + 1
        )
    more = encode_cursor(entries[limit - 1][0]) if len(entries) > limit else None
    return Page(items=[entry for _, entry in entries[:limit]], next_cursor=more)


ROUTES = (ledger,)
