"""Stripe, by the official library."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
import stripe
import structlog

from merkato.contracts.problem import Malformed
from merkato.payments.domain.payment import (
    InvalidSignature,
    Notice,
    Operation,
    StaleSignature,
    Verdict,
)
from merkato.payments.providers.answers import (
    Event,
    intent_id,
    of_dispute,
    of_intent,
    of_refund,
    refused,
    why,
)
from merkato.payments.providers.transport import Http
from merkato.payments.providers.units import from_stripe, to_stripe

log = structlog.get_logger()

TOLERANCE_S = 300  # age, and youth, of a webhook's signature that we accept
SIGNATURES_MAX = 10  # in one header
NOT_BY_CARD = Verdict(outcome="failed", reason="amount-not-possible-by-card")  # nothing was sent


class Stripe:
    """Stripe, or whatever speaks its API at `url`, by the official library."""

    def __init__(
        self,
        key: str,
        url: str | None,
        *,
        webhook_secret: str,
        at_once: bool,
        deadline_s: float,
        return_url: str,
    ) -> None:
        self._webhook_secret = webhook_secret
        self._at_once = at_once
        self._deadline_s = deadline_s
        self._return_url = return_url
        self._http = Http(deadline_s)
        self._api = stripe.StripeClient(
            key,
            base_addresses={"api": url} if url else None,
            max_network_retries=0,
            http_client=self._http,
        ).v1

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        await self._http.close_async()

    async def authorise(self, operation: Operation, order_id: UUID) -> Verdict:
        """See Provider."""
        amount = to_stripe(operation.amount_minor, operation.currency)
        if amount is None:
            return NOT_BY_CARD
        request = self._api.payment_intents.create_async(
            {
                "amount": amount,
                "currency": operation.currency.lower(),
                "payment_method": operation.payment_token or "",
                "capture_method": "automatic" if self._at_once else "manual",
                "confirm": True,
                "metadata": {"order_id": str(order_id), "key": operation.key},
                "return_url": f"{self._return_url}/orders/{order_id}",
            },
            {"idempotency_key": operation.key},
        )
        return await self._ask(request, lambda answer: of_intent(answer, operation))

    async def find(self, operation: Operation) -> Verdict | None:
        """See Provider. What Stripe made in the last minute its search may not find."""
        if operation.kind == "refund":
            listed = self._api.refunds.list_async(
                {"payment_intent": operation.origin or "", "limit": 100}
            )
            return await self._pick(listed, operation, of_refund)
        query = f"metadata['key']:'{operation.key}'"
        found = self._api.payment_intents.search_async({"query": query, "limit": 10})
        return await self._pick(found, operation, of_intent)

    async def get(self, operation: Operation) -> Verdict:
        """See Provider."""
        if operation.is_dispute:
            dispute = self._api.disputes.retrieve_async(operation.reference or "")
            return await self._ask(dispute, of_dispute)
        if operation.kind == "refund":
            refund = self._api.refunds.retrieve_async(operation.reference or "")
            return await self._ask(refund, lambda answer: of_refund(answer, operation))
        name = operation.reference if operation.kind == "authorise" else operation.origin
        intent = self._api.payment_intents.retrieve_async(name or "")
        return await self._ask(intent, lambda answer: of_intent(answer, operation))

    async def carry_out(self, operation: Operation) -> Verdict:
        """See Provider. What is refused is looked at: it may have been done before."""
        name, intents = operation.origin or "", self._api.payment_intents
        options: stripe.RequestOptions = {"idempotency_key": operation.key}
        amount = to_stripe(operation.amount_minor, operation.currency)
        if operation.kind == "void":
            asked = intents.cancel_async(name, None, options)
        elif amount is None:
            return NOT_BY_CARD
        elif operation.kind == "refund":
            made = self._api.refunds.create_async(
                {"payment_intent": name, "amount": amount, "metadata": {"key": operation.key}},
                options,
            )
            verdict = await self._ask(made, lambda answer: of_refund(answer, operation))
            return (await self.find(operation) or verdict) if refused(verdict) else verdict
        else:
            asked = intents.capture_async(name, {"amount_to_capture": amount}, options)
        verdict = await self._ask(asked, lambda answer: of_intent(answer, operation))
        if not refused(verdict):
            return verdict
        now = await self.get(operation)
        return now if now.outcome in ("captured", "voided", "unknown") else verdict

    async def _pick(
        self,
        request: Awaitable[stripe.StripeObject],
        operation: Operation,
        read: Callable[[Any, Operation], Verdict],
    ) -> Verdict | None:
        """Pick from a list what carries our key."""
        found: list[Verdict] = []

        def pick(answer: Any) -> Verdict:
            mine = [one for one in answer["data"] if one["metadata"].get("key") == operation.key]
            found.extend(read(one, operation) for one in mine)
            return found[0] if found else Verdict(outcome="unknown")

        verdict = await self._ask(request, pick)
        return None if verdict.outcome == "unknown" and verdict.reason is None else verdict

    async def _ask(
        self, request: Awaitable[stripe.StripeObject], read: Callable[[Any], Verdict]
    ) -> Verdict:
        """Wait for an answer and read it; whatever is not an answer is `unknown`."""
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await request
            return read(answer.to_dict())
        except stripe.CardError as error:
            return Verdict(outcome="declined", reason=why(error), reference=intent_id(error))
        except stripe.InvalidRequestError as error:
            return Verdict(outcome="failed", reason=error.code or "invalid-request")
        except stripe.RateLimitError as error:
            after = (error.headers or {}).get("retry-after", "1")
            seconds = min(int(after), 600) if after.isdigit() else 1
            return Verdict(outcome="unknown", reason="rate-limited", retry_after_s=seconds)
        except Exception as error:  # no answer, or one that makes no sense: it may have been done
            log.warning(
                "no sense from the processor", error=f"{type(error).__name__}: {error}"[:300]
            )
            return Verdict(outcome="unknown", reason=type(error).__name__)

    def read(self, body: bytes, signature: str | None) -> Notice:
        """See Reader."""
        header = signature or ""
        if header.count(",") > SIGNATURES_MAX:
            raise InvalidSignature("Too many signatures.")
        try:
            stripe.WebhookSignature.verify_header(body, header, self._webhook_secret, None)
        except (stripe.SignatureVerificationError, ValueError) as error:
            raise InvalidSignature("This was not signed with our secret.") from error
        at = re.search(r"(?:^|,)t=(\d{1,12})(?:,|$)", header)
        if at is None or abs(time.time() - int(at[1])) > TOLERANCE_S:
            raise StaleSignature("This was signed too long ago, or in the future.")
        try:
            event = msgspec.json.decode(body, type=Event)
            about = event.data.object
            disputed = about.payment_intent if about.object == "dispute" else None
            amount_minor = from_stripe(about.amount, about.currency.upper()) if disputed else 0
        except ValueError as error:
            raise Malformed("Not an event.") from error
        return Notice(
            event_id=event.id,
            type=event.type,
            reference=about.id,
            key=about.metadata.get("key"),
            disputed=disputed,
            amount_minor=amount_minor,
        )
