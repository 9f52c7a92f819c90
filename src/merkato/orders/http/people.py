"""The people who ordered: what other services may ask about them, and how they are forgotten."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post

from merkato.chassis.db import Tx
from merkato.chassis.http import (
    SERVICE,
    Cursor,
    IdempotencyKey,
    decode_cursor,
    encode_cursor,
    respond,
    staff,
)
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller, thing_token
from merkato.chassis.trail import note
from merkato.contracts.orders import OrdersAsked, OrderTokens
from merkato.contracts.problem import Validation
from merkato.contracts.users import PersonalPage
from merkato.contracts.values import Email
from merkato.orders.actions import people as actions
from merkato.orders.actions.people import Erased
from merkato.orders.http import views
from merkato.orders.http.desk import Desk
from merkato.orders.store import life, people

PAGE = 100  # orders, or carts, given to users at a time


class Erasure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /orders/erasures``: one order, or all of a guest's by mail address."""

    order_id: UUID | None = None
    email: Email | None = None


@post("/api/v1/orders/erasures", policy=staff("customers:erase"), status_code=200, answers=Erased)
async def erase_buyer(
    data: Erasure, caller: Caller, desk: Desk, idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Forget who bought, here and in every service; money, goods and tax stay.

    By e-mail, guests' orders only: those of an account are erased with it, and are counted as
    `of_accounts`. Again is harmless.
    """
    key = parse_key(idempotency_key, required=False)
    if (data.order_id is None) == (data.email is None):
        raise Validation.at("/order_id", "Send either order_id or email.")

    async def work(tx: Tx) -> Answer:
        whom = f"order:{data.order_id}" if data.order_id else "guest:by-email"
        note(tx, caller, "orders.buyer_erased", whom)
        if data.order_id is not None:
            return answer(200, await actions.erase_order(tx, caller, data.order_id))
        assert data.email is not None, "one of them is there"
        return answer(200, await actions.erase_guest(tx, caller, data.email))

    scope = (caller.principal, "POST /orders/erasures", key)
    return respond(await once(desk.db, scope, data, work))


@post("/api/v1/orders/tokens", policy=SERVICE, status_code=200)
async def give_tokens(data: OrdersAsked, desk: Desk) -> Response[OrderTokens]:
    """Give the tokens of guests' orders, for the links in their mails."""
    async with desk.db.reading() as tx:
        guests = await people.guests_orders(tx, data.order_ids)
    secret = desk.settings.token_secret
    tokens = {order_id: thing_token(secret, order_id) for order_id in guests}
    return Response(OrderTokens(tokens=tokens), headers={"Cache-Control": "no-store"})


@get("/api/v1/orders/personal-data/{user_id:uuid}", policy=SERVICE)
async def export_orders(user_id: UUID, desk: Desk, cursor: Cursor = None) -> PersonalPage:
    """Give users a page of all that is kept about somebody's orders, oldest first."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with desk.db.transaction(snapshot=True) as tx:
        rows = await people.orders_of(tx, user_id, after, PAGE + 1)
        ids = [row["id"] for row in rows[:PAGE]]
        found = await life.views(tx, ids)
        steps = await people.timelines(tx, ids)
    told: dict[UUID, list[dict[str, Any]]] = {id: [] for id in ids}
    for step in steps:
        told[step["order_id"]].append(msgspec.to_builtins(dict(step)))
    items = [{**msgspec.to_builtins(views.from_row(found[id])), "timeline": told[id]} for id in ids]
    more = encode_cursor(rows[PAGE - 1]["placed_at"], ids[-1]) if len(rows) > PAGE else None
    return PersonalPage(items=items, next_cursor=more)


@get("/api/v1/carts/personal-data/{user_id:uuid}", policy=SERVICE)
async def export_carts(user_id: UUID, desk: Desk, cursor: Cursor = None) -> PersonalPage:
    """Give users a page of somebody's carts, oldest first."""
    after = decode_cursor(cursor, tuple[datetime, UUID])
    async with desk.db.reading() as tx:
        rows = await people.carts_of(tx, user_id, after, PAGE + 1)
    page = rows[:PAGE]
    items = [msgspec.to_builtins(dict(row)) for row in page]
    more = encode_cursor(page[-1]["created_at"], page[-1]["id"]) if len(rows) > PAGE else None
    return PersonalPage(items=items, next_cursor=more)


ROUTES: tuple[Any, ...] = (erase_buyer, give_tokens, export_orders, export_carts)
