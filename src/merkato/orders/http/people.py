"""The people who ordered: what other services may ask about them, and how they are forgotten."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, post

from merkato.chassis.db import Tx
from merkato.chassis.http import SERVICE, IdempotencyKey, respond, staff
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.tokens import Caller, thing_token
from merkato.chassis.trail import note
from merkato.contracts.orders import OrdersAsked, OrderTokens
from merkato.contracts.problem import Validation
from merkato.contracts.values import Email
from merkato.orders.actions import people as actions
from merkato.orders.http.desk import Desk
from merkato.orders.store import people


class Erasure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /orders/erasures``: one order, or all of a guest's by mail address."""

    order_id: UUID | None = None
    email: Email | None = None


@post("/api/v1/orders/erasures", policy=staff("customers:erase"), status_code=200)
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


ROUTES: tuple[Any, ...] = (erase_buyer, give_tokens)
