"""Whose order it is: its customer's, a guest's who has its token, and for staff everybody's."""

from typing import Any

from litestar import Request

from merkato.chassis.db import Row
from merkato.chassis.tokens import Caller, is_thing_token
from merkato.contracts.problem import Forbidden, NotFound
from merkato.orders.http.desk import Desk


def may_see(row: Row, request: Request[Any, Any, Any], caller: Caller, desk: Desk) -> bool:
    """Tell whether an order concerns the caller."""
    return caller.may("orders:read") or _owns(row, request, caller, desk)


def changeable(row: Row | None, request: Request[Any, Any, Any], caller: Caller, desk: Desk) -> Row:
    """Give an order that the caller may change. Raises NotFound, Forbidden for who only reads."""
    if row is not None:
        if caller.may("orders:write") or _owns(row, request, caller, desk):
            return row
        if caller.may("orders:read"):
            raise Forbidden("Changing somebody's order takes orders:write.")
    raise NotFound("There is no such order.")


def _owns(row: Row, request: Request[Any, Any, Any], caller: Caller, desk: Desk) -> bool:
    if row["customer_id"] is not None and row["customer_id"] == caller.user_id:
        return True
    order_id = row["id"] if "id" in row else row["order_id"]
    token = request.headers.get("x-order-token")
    return is_thing_token(desk.settings.token_secret, order_id, token)


def principal(caller: Caller, row: Row) -> str:
    """Name whoever acts on an order: the caller, or the guest who placed it."""
    return row["principal"] if caller.kind == "anonymous" else caller.principal
