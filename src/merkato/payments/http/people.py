"""What payments gives users of a person's data."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import get

from merkato.chassis.db import Database
from merkato.chassis.http import SERVICE, Cursor, decode_cursor, encode_cursor
from merkato.contracts.users import PersonalPage
from merkato.payments.store import views

PAGE = 100  # payments given at a time


@get("/api/v1/payments/personal-data/{user_id:uuid}", policy=SERVICE)
async def export_payments(user_id: UUID, db: Database, cursor: Cursor = None) -> PersonalPage:
    """Give users a page of somebody's payments with their operations, oldest first."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        found = await views.of_person(tx, user_id, after, PAGE + 1)
    page = found[:PAGE]
    more = encode_cursor(page[-1].created_at, page[-1].id) if len(found) > PAGE else None
    return PersonalPage(items=[msgspec.to_builtins(one) for one in page], next_cursor=more)


ROUTES: tuple[Any, ...] = (export_payments,)
