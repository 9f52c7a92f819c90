"""What notifications gives users of a person's data."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import get

from merkato.chassis.db import Database
from merkato.chassis.http import SERVICE, Cursor, decode_cursor, encode_cursor
from merkato.contracts.users import PersonalPage
from merkato.notifications.store import lists, preferences

PAGE = 100  # messages given at a time


@get("/api/v1/notifications/personal-data/{user_id:uuid}", policy=SERVICE)
async def export_messages(user_id: UUID, db: Database, cursor: Cursor = None) -> PersonalPage:
    """Give users a page of what somebody was told, oldest first."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with db.reading() as tx:
        rows = await lists.of_person(tx, user_id, after, PAGE + 1)
    page = rows[:PAGE]
    items = [msgspec.to_builtins(dict(row)) for row in page]
    more = encode_cursor(page[-1]["created_at"], page[-1]["id"]) if len(rows) > PAGE else None
    return PersonalPage(items=items, next_cursor=more)


@get("/api/v1/notification-preferences/personal-data/{user_id:uuid}", policy=SERVICE)
async def export_preferences(user_id: UUID, db: Database, cursor: Cursor = None) -> PersonalPage:
    """Give users what somebody has chosen to hear of."""
    async with db.reading() as tx:
        version, chosen = await preferences.read(tx, user_id)
    return PersonalPage(items=[{"choices": chosen}] if version else [])


ROUTES: tuple[Any, ...] = (export_messages, export_preferences)
