"""Those outside who move money. Every request carries a key of ours: the same key acts once.

An answer that is lost, late or makes no sense is the verdict `unknown`; only what the processor
says itself is taken as decided.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

import aiohttp
import msgspec
import stripe
import structlog

from merkato.contracts.problem import Malformed, NotFound
from merkato.payments.domain.payment import (
    InvalidSignature,
    Notice,
    Operation,
    Outcome,
    StaleSignature,
    Verdict,
)

log = structlog.get_logger()

ANSWER_MAX_BYTES = 1_048_576
TOLERANCE_S = 300  # age, and youth, of a webhook's signature that we accept
SIGNATURES_MAX = 10  # in one header


class Provider(Protocol):
    """A card processor. No method raises for what the processor or the network does."""

    async def authorise(self, operation: Operation, order_id: UUID) -> Verdict:
        """Promise or take the money of an attempt, as configured. Repeated: the same answer."""

    async def find(self, operation: Operation) -> Verdict | None:
        """Look for an attempt or refund by our key. None: it does not know it (yet)."""

    async def get(self, operation: Operation) -> Verdict:
        """Say where an operation with a reference stands."""

    async def carry_out(self, operation: Operation) -> Verdict:
        """Capture, void or refund. Repeated: the same answer."""


class NoCards:
    """Stands where no processor is configured: cards are declined, and nothing else is asked."""

    async def authorise(self, operation: Operation, order_id: UUID) -> Verdict:
        """See Provider."""
        return Verdict(outcome="declined", reason="cards-not-offered")

    async def find(self, operation: Operation) -> Verdict | None:
        """See Provider."""
        return None

    async def get(self, operation: Operation) -> Verdict:
        """See Provider."""
        return Verdict(outcome="unknown", reason="cards-not-offered")

    carry_out = get

    def read(self, body: bytes, signature: str | None) -> Notice:
        """See Reader."""
        raise NotFound("No processor is configured.")


class _Problem(msgspec.Struct):
    code: str | None = None
    decline_code: str | None = None


class _Redirect(msgspec.Struct):
    url: str | None = None


class _NextAction(msgspec.Struct):
    redirect_to_url: _Redirect | None = None


class _Intent(msgspec.Struct, kw_only=True):
    id: str
    status: str
    currency: str
    metadata: dict[str, str] = {}
    amount_capturable: int = 0
    amount_received: int = 0
    last_payment_error: _Problem | None = None
    next_action: _NextAction | None = None


class _Refund(msgspec.Struct, kw_only=True):
    id: str
    status: str
    currency: str
    amount: int
    metadata: dict[str, str] = {}
    failure_reason: str | None = None


class _Object(msgspec.Struct):
    id: str | None = None
    metadata: dict[str, str] = {}


class _Data(msgspec.Struct):
    object: _Object


class _Event(msgspec.Struct):
    id: str
    type: str
    data: _Data


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
        self._http = _Http(deadline_s)
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
        request = self._api.payment_intents.create_async(
            {
                "amount": operation.amount_minor,
                "currency": operation.currency.lower(),
                "payment_method": operation.payment_token or "",
                "capture_method": "automatic" if self._at_once else "manual",
                "confirm": True,
                "metadata": {"order_id": str(order_id), "key": operation.key},
                "return_url": f"{self._return_url}/orders/{order_id}",
            },
            {"idempotency_key": operation.key},
        )
        return await self._ask(request, lambda answer: _of_intent(answer, operation))

    async def find(self, operation: Operation) -> Verdict | None:
        """See Provider. What Stripe made in the last minute its search may not find."""
        if operation.kind == "refund":
            listed = self._api.refunds.list_async(
                {"payment_intent": operation.origin or "", "limit": 100}
            )
            return await self._pick(listed, operation, _of_refund)
        query = f"metadata['key']:'{operation.key}'"
        found = self._api.payment_intents.search_async({"query": query, "limit": 10})
        return await self._pick(found, operation, _of_intent)

    async def get(self, operation: Operation) -> Verdict:
        """See Provider."""
        if operation.kind == "refund":
            refund = self._api.refunds.retrieve_async(operation.reference or "")
            return await self._ask(refund, lambda answer: _of_refund(answer, operation))
        name = operation.reference if operation.kind == "authorise" else operation.origin
        intent = self._api.payment_intents.retrieve_async(name or "")
        return await self._ask(intent, lambda answer: _of_intent(answer, operation))

    async def carry_out(self, operation: Operation) -> Verdict:
        """See Provider. What is refused is looked at: it may have been done before."""
        name, intents = operation.origin or "", self._api.payment_intents
        options: stripe.RequestOptions = {"idempotency_key": operation.key}
        if operation.kind == "refund":
            made = self._api.refunds.create_async(
                {
                    "payment_intent": name,
                    "amount": operation.amount_minor,
                    "metadata": {"key": operation.key},
                },
                options,
            )
            verdict = await self._ask(made, lambda answer: _of_refund(answer, operation))
            return (await self.find(operation) or verdict) if _refused(verdict) else verdict
        if operation.kind == "capture":
            amount = operation.amount_minor
            asked = intents.capture_async(name, {"amount_to_capture": amount}, options)
        else:
            asked = intents.cancel_async(name, None, options)
        verdict = await self._ask(asked, lambda answer: _of_intent(answer, operation))
        if not _refused(verdict):
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
            return Verdict(outcome="declined", reason=_why(error), reference=_intent_id(error))
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
            event = msgspec.json.decode(body, type=_Event)
        except msgspec.DecodeError as error:
            raise Malformed("Not an event.") from error
        about = event.data.object
        key = about.metadata.get("key")
        return Notice(event_id=event.id, type=event.type, reference=about.id, key=key)


def _of_intent(answer: Any, operation: Operation) -> Verdict:
    """Read a payment intent. Raises ValidationError."""
    intent = msgspec.convert(answer, _Intent)
    outcome, amount = _INTENT_OUTCOMES.get(intent.status, "unknown"), 0
    reason, url = None, None
    match intent.status:
        case "succeeded":
            amount = intent.amount_received
        case "requires_capture":
            amount = intent.amount_capturable
        case "requires_payment_method":
            why = intent.last_payment_error or _Problem()
            reason = why.decline_code or why.code
            outcome = "declined" if reason else "unknown"
        case "requires_action" if intent.next_action and intent.next_action.redirect_to_url:
            url = intent.next_action.redirect_to_url.url
    if outcome == "unknown":
        reason = intent.status
    of_attempt = operation.kind == "authorise"
    if not of_attempt and intent.id != operation.origin:
        return Verdict(outcome="unknown", reason="another-intent")
    return Verdict(
        outcome=outcome,
        amount_minor=amount,
        currency=intent.currency.upper(),
        key=intent.metadata.get("key", "none") if of_attempt else None,
        reference=intent.id,
        reason=reason,
        url=url,
    )


_INTENT_OUTCOMES: Mapping[str, Outcome] = {
    "succeeded": "captured",
    "requires_capture": "authorised",
    "requires_action": "action_required",
    "canceled": "voided",
}
_REFUND_OUTCOMES: Mapping[str, Outcome] = {
    "succeeded": "refunded",
    "pending": "pending",
    "requires_action": "pending",
    "failed": "failed",
    "canceled": "failed",
}


def _of_refund(answer: Any, operation: Operation) -> Verdict:
    """Read a refund. Raises ValidationError."""
    refund = msgspec.convert(answer, _Refund)
    outcome = _REFUND_OUTCOMES.get(refund.status, "unknown")
    return Verdict(
        outcome=outcome,
        amount_minor=refund.amount,
        currency=refund.currency.upper(),
        key=refund.metadata.get("key", "none"),
        reference=refund.id,
        reason=refund.failure_reason or (refund.status if outcome == "unknown" else None),
    )


def _refused(verdict: Verdict) -> bool:
    return verdict.outcome in ("failed", "declined")


def _why(error: stripe.CardError) -> str:
    """Give the bank's reason, or the processor's."""
    told = error.error
    return (told.decline_code if told else None) or error.code or "declined"


def _intent_id(error: stripe.CardError) -> str | None:
    intent = error.error.payment_intent if error.error else None
    return intent.id if intent else None


class _Http(stripe.HTTPClient):
    """The library's way out: one pool, no redirects, no proxies, bounded answers."""

    name = "merkato"

    def __init__(self, deadline_s: float) -> None:
        super().__init__()
        self._deadline = aiohttp.ClientTimeout(total=deadline_s)
        self._session: aiohttp.ClientSession | None = None

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """See stripe.HTTPClient. Raises ClientError and TimeoutError."""
        if self._session is None or self._session.closed:
            trust = ssl.create_default_context(cafile=stripe.ca_bundle_path)
            connector = aiohttp.TCPConnector(ssl=trust)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._deadline, cookie_jar=aiohttp.DummyCookieJar()
            )
        async with self._session.request(
            method, url, headers=headers, data=post_data, allow_redirects=False
        ) as answer:
            body = bytearray()
            async for part in answer.content.iter_chunked(65_536):
                body += part
                if len(body) > ANSWER_MAX_BYTES:
                    raise aiohttp.ClientPayloadError("The answer has no end.")
            return bytes(body), answer.status, answer.headers

    async def close_async(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
