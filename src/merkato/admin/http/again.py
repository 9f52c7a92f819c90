"""Leads on whoever loads the answer to a form anew: it was made once and is not made again."""

from uuid import UUID

from litestar import Response, get

from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other

ME = "/admin/me"


@get("/admin/orders/{order_id:uuid}/sums", policy=ANYONE)
async def sums(order_id: UUID) -> Response[str]:
    """Lead back to the order."""
    return see_other(f"/admin/orders/{order_id}")


@get([f"{ME}/totp", f"{ME}/totp/confirmation", f"{ME}/totp/recovery-codes"], policy=ANYONE)
async def second_factor() -> Response[str]:
    """Lead back to one's own account."""
    return see_other(ME)


@get(["/admin/roles", "/admin/api-keys", "/admin/webhooks"], policy=ANYONE)
async def lists(visit: Visit) -> Response[str]:
    """Lead back to the list."""
    return see_other(visit.path.partition("?")[0].replace("/admin/", "/admin/t/"))


@get("/admin/webhooks/{hook_id:uuid}/secret", policy=ANYONE)
async def secret(hook_id: UUID) -> Response[str]:
    """Lead back to the endpoint."""
    return see_other(f"/admin/webhooks/{hook_id}")


@get("/admin/dead-letters/{letter_id:str}/edit", policy=ANYONE)
async def letter(letter_id: str) -> Response[str]:
    """Lead back to the letter."""
    return see_other(f"/admin/dead-letters/{segment(letter_id)}")


ROUTES = (sums, second_factor, lists, secret, letter)
