"""Notifications over HTTP: the inbox of whoever asks, and all messages for staff."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter

from merkato.chassis.db import Database, Row, Tx
from merkato.chassis.http import (
    USER,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    Routes,
    decode_cursor,
    encode_cursor,
    respond,
    staff,
    user_or,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Forbidden, NotFound, Validation
from merkato.notifications.actions import messages as actions
from merkato.notifications.actions.texts import refresh
from merkato.notifications.store import lists
from merkato.notifications.store.lists import Wanted
from merkato.notifications.templates import Rendered, Texts

PATH = "/api/v1/notifications"
READ = "notifications:read"
NO_LINK = "…"  # stands in a preview where a mail had its link
States = Literal["queued", "sent", "failed"]
Channels = Literal["email", "inbox", "sms", "push"]
Kinds = Literal["order", "account", "staff", "marketing"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A message in somebody's inbox."""

    id: UUID
    template: str
    title: str
    text: str
    created_at: datetime
    read_at: datetime | None


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """A page of an inbox, newest first; `unread` counts the whole inbox."""

    items: list[Item]
    unread: int
    next_cursor: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A message as staff see it."""

    id: UUID
    channel: str  # email | inbox | sms | push
    kind: str  # order | account | staff | marketing
    fact: str
    template: str
    locale: str
    recipient: str
    customer_id: UUID | None
    state: str  # queued | sent | failed
    tries: int
    edition: int
    reason: str | None
    created_at: datetime
    sent_at: datetime | None
    failed_at: datetime | None
    read_at: datetime | None
    bounced_at: datetime | None  # the mail came back, or its address was refused
    bounce: str | None
    erased_at: datetime | None


class Shown(Record, frozen=True, kw_only=True):
    """A message with its words, as it would be written now; without the link of a mail."""

    subject: str
    text: str
    html: str


@get(PATH, policy=user_or(READ))
async def list_messages(
    caller: Caller,
    db: Database,
    texts: Texts,
    customer: Annotated[str | None, Parameter(max_length=40)] = None,
    message_state: Annotated[States | None, Parameter(query="state")] = None,
    template: Annotated[str | None, Parameter(max_length=64)] = None,
    channel: Channels | None = None,
    kind: Kinds | None = None,
    recipient: Annotated[str | None, Parameter(max_length=254)] = None,
    bounced: bool = False,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Inbox | Page[Record]:
    """Give the caller's inbox; staff get all messages unless they ask for ``customer=me``.

    Staff may filter: by state, template, channel and kind, by `customer` (an id), by `recipient`,
    and those that `bounced`.
    """
    after = None if cursor is None else decode_cursor(cursor, tuple[datetime, UUID])
    wanted = Wanted(
        state=message_state,
        template=template,
        channel=channel,
        kind=kind,
        recipient=recipient,
        customer_id=None if customer in (None, "me") else _customer(customer),
        bounced=bounced,
    )
    if caller.may(READ) and (customer != "me" or caller.kind == "key"):
        async with db.reading() as tx:
            rows = await lists.find_all(tx, wanted, after, limit + 1)
        page, next_cursor = _page(rows, limit)
        return Page(items=[record(row) for row in page], next_cursor=next_cursor)
    if wanted != Wanted():
        raise Forbidden("Only staff may search messages.")
    assert caller.user_id is not None  # the policy asks for a person
    await refresh(texts, db)
    async with db.reading() as tx:
        rows = await lists.inbox(tx, caller.user_id, after, limit + 1)
        unread = await lists.unread(tx, caller.user_id)
    page, next_cursor = _page(rows, limit)
    items = [_item(row, texts) for row in page]
    return Inbox(items=items, unread=unread, next_cursor=next_cursor)


def _customer(text: str | None) -> UUID:
    try:
        return UUID(text)
    except (ValueError, TypeError) as error:
        raise Validation.at("/customer", "`me` or a customer's id.") from error


def _page(rows: list[Row], limit: int) -> tuple[list[Row], str | None]:
    page = rows[:limit]
    more = len(rows) > limit
    return page, encode_cursor(page[-1]["created_at"], page[-1]["id"]) if more else None


@get(f"{PATH}/{{id:uuid}}", policy=user_or(READ))
async def show_message(id: UUID, caller: Caller, db: Database, texts: Texts) -> Item | Shown:
    """Give a message: of the caller's inbox, or any to staff."""
    async with db.reading() as tx:
        row = await lists.find(tx, id)
    if row is not None and row["channel"] == "inbox" and row["customer_id"] == caller.user_id:
        return _item(row, texts)
    if row is None or not caller.may(READ):
        raise NotFound("There is no such message.")
    await refresh(texts, db)
    said = _words(row, texts)
    return Shown(
        **{name: row[name] for name in Record.__struct_fields__},
        subject=said.subject,
        text=said.text or said.summary,
        html=said.html,
    )


@post(f"{PATH}/{{id:uuid}}/read", policy=USER, status_code=200)
async def read_message(id: UUID, caller: Caller, db: Database, texts: Texts) -> Item:
    """Mark a message of the caller's inbox as read; again is harmless."""
    assert caller.user_id is not None  # the policy asks for a person
    async with db.transaction() as tx:
        row = await actions.read(tx, id, caller.user_id)
    return _item(row, texts)


@post(
    f"{PATH}/{{id:uuid}}/resend", policy=staff("notifications:write"), status_code=202,
    answers=Record,
)  # fmt: skip
async def resend_message(
    id: UUID, caller: Caller, db: Database, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Queue a message that was sent or has failed once more."""
    key = parse_key(idempotency_key, required=False)

    async def work(tx: Tx) -> Answer:
        return answer(202, record(await actions.resend(tx, caller, id)))

    scope = (caller.principal, f"POST {PATH}/{id}/resend", key)
    return respond(await once(db, scope, {"id": str(id)}, work))


def record(row: Row) -> Record:
    """Show a message to staff."""
    return Record(**{name: row[name] for name in Record.__struct_fields__})


def _item(row: Row, texts: Texts) -> Item:
    said = _words(row, texts, brief=True)
    return Item(
        id=row["id"],
        template=row["template"],
        title=said.subject,
        text=said.summary,
        created_at=row["created_at"],
        read_at=row["read_at"],
    )


def _words(row: Row, texts: Texts, *, brief: bool = False) -> Rendered:
    """Render a message anew; nothing is left of one that was erased."""
    if row["erased_at"] is not None:
        return Rendered("", "")
    about: tuple[str, str, dict[str, Any]] = (row["template"], row["locale"], row["data"])
    if brief or row["channel"] != "email":
        return texts.headline(*about)
    return texts.render(*about, link=NO_LINK)


ROUTES: Routes = [list_messages, show_message, read_message, resend_message]
