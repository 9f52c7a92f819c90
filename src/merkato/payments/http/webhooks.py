"""What processors tell us: checked, kept as it came, and only ever a reason to ask them."""

from typing import Annotated, Any

from litestar import Request, post
from litestar.params import Dependency, Parameter

from merkato.chassis.db import Database
from merkato.chassis.http import SIGNED
from merkato.contracts.problem import NotFound
from merkato.payments import actions
from merkato.payments.domain.payment import InvalidSignature, Reader, StaleSignature

Signature = Annotated[str | None, Parameter(header="Stripe-Signature", max_length=4_096)]


@post(
    "/api/v1/payments/webhooks/{provider:str}", policy=SIGNED, status_code=200,
    problems=(InvalidSignature, StaleSignature),
)  # fmt: skip
async def hear(
    provider: str,
    request: Request[Any, Any, Any],
    db: Database,
    reader: Annotated[Reader, Dependency(skip_validation=True)],
    signature: Signature = None,
) -> dict[str, bool]:
    """Take an event from a processor; 200 also when it was here before. It is kept in any case."""
    if provider != "stripe":
        raise NotFound("There is no such provider.")
    body = await request.body()
    notice = reader.read(body, signature)
    async with db.transaction() as tx:
        await actions.keep_notice(tx, notice, provider, body)
    if notice.disputed is not None:
        async with db.transaction() as tx:
            await actions.note_dispute(tx, notice)
    return {"received": True}


ROUTES = (hear,)
