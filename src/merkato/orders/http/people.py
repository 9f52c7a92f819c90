"""What orders tells other services about the people who ordered. None of it is kept or logged."""

from litestar import Response, post

from merkato.chassis.http import SERVICE
from merkato.chassis.tokens import thing_token
from merkato.contracts.orders import OrdersAsked, OrderTokens
from merkato.orders.http.desk import Desk
from merkato.orders.store import people


@post("/api/v1/orders/tokens", policy=SERVICE, status_code=200)
async def give_tokens(data: OrdersAsked, desk: Desk) -> Response[OrderTokens]:
    """Give the tokens of guests' orders, for the links in their mails."""
    async with desk.db.reading() as tx:
        guests = await people.guests_orders(tx, data.order_ids)
    secret = desk.settings.token_secret
    tokens = {order_id: thing_token(secret, order_id) for order_id in guests}
    return Response(OrderTokens(tokens=tokens), headers={"Cache-Control": "no-store"})


ROUTES = (give_tokens,)
