"""The API under /v1, as the official SDK speaks it: forms in, JSON out."""

import hmac
import secrets
import time
from functools import partial
from typing import Any

import msgspec

from merkato.outside.asgi import Answer, Call, Route, json
from merkato.outside.processor import actions, domain, forms, store
from merkato.outside.processor.actions import Desk
from merkato.outside.processor.cards import Fault
from merkato.outside.processor.domain import Intent, Refused, invalid
from merkato.outside.processor.idempotency import Idempotency
from merkato.outside.processor.switch import Operation, Switch


def refused(error: Exception) -> Answer | None:
    """Turn an error into the API's answer; None for one that is none of its own."""
    if isinstance(error, Refused):
        return json(error.content, error.status)
    if isinstance(error, UnicodeError):
        return json(invalid("Invalid string: not UTF-8.").content, 400)
    return None


class Api:
    """The routes under /v1."""

    def __init__(self, desk: Desk, switch: Switch, api_key: str) -> None:
        self._desk = desk
        self._switch = switch
        self._api_key = api_key
        self._once = Idempotency(desk.db).once

    def routes(self) -> list[Route]:
        """Give the table of routes; the most frequent first."""
        intents, refunds = "/v1/payment_intents", "/v1/refunds"
        return [
            ("POST", intents, self.create),
            ("GET", intents, self.list),
            ("GET", f"{intents}/search", self.search),
            ("GET", intents + "/{id}", self.retrieve),
            ("POST", intents + "/{id}/capture", self.capture),
            ("POST", intents + "/{id}/cancel", self.cancel),
            ("POST", intents + "/{id}/confirm", self.confirm),
            ("POST", refunds, self.refund),
            ("GET", refunds, self.list_refunds),
            ("GET", refunds + "/{id}", self.retrieve_refund),
            ("GET", "/v1/disputes", self.list_disputes),
            ("GET", "/v1/disputes/{id}", self.retrieve_dispute),
            ("GET", "/v1/events", self.list_events),
            ("GET", "/v1/events/{id}", self.retrieve_event),
        ]

    async def admit(self, call: Call) -> Answer | None:
        """Answer in the route's place when the mode says so or the key is wrong."""
        if not call.url.startswith("/v1/"):
            return None
        if (answer := await self._switch.answer(call)) is not None:
            return answer
        given = call.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise invalid("Invalid API Key provided.", status=401)
        return None

    async def create(self, call: Call) -> Answer:
        """POST /v1/payment_intents."""
        form = call.form()
        forms.known(
            form,
            *("amount", "currency", "capture_method", "confirm", "payment_method", "metadata"),
            *("return_url", "description", "receipt_email", "confirmation_method", "customer"),
        )
        intent = _new_intent(form)
        confirm = forms.flag(form, "confirm")
        if confirm and not intent.payment_method:
            raise _no_card()
        return_url, key = forms.return_url(form), _key(call)
        work = partial(actions.create, self._desk, intent, confirm, return_url, key)
        fault = self._fault("create", intent if confirm else None)
        return await self._once(call, form, fault, work)

    async def confirm(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/confirm."""
        form = call.form()
        forms.known(form, "payment_method", "return_url", "receipt_email")
        intent = actions.find(self._desk, call.path["id"])
        intent.payment_method = form.get("payment_method") or intent.payment_method
        if not intent.payment_method:
            raise _no_card()
        actions.known_card(intent.payment_method)
        return_url, key, token = forms.return_url(form), _key(call), intent.payment_method

        def work() -> Intent:
            now = actions.find(self._desk, intent.id)  # it may have moved while a fault waited
            now.payment_method = token
            return actions.pay(self._desk, now, return_url, key)

        return await self._once(call, form, self._fault("confirm", intent), work)

    async def capture(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/capture."""
        form = call.form()
        forms.known(form, "amount_to_capture", "metadata")
        amount = forms.amount(form, "amount_to_capture")
        work = partial(actions.capture, self._desk, call.path["id"], amount, _key(call))
        return await self._once(call, form, self._fault("capture", None), work)

    async def cancel(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/cancel."""
        form = call.form()
        forms.known(form, "cancellation_reason")
        reason = form.get("cancellation_reason")
        work = partial(actions.cancel, self._desk, call.path["id"], reason, _key(call))
        return await self._once(call, form, self._fault("cancel", None), work)

    async def retrieve(self, call: Call) -> Answer:
        """GET /v1/payment_intents/{id}, with `expand[]=latest_charge` if wanted."""
        intent = actions.find(self._desk, call.path["id"])
        expanded = [v for name, v in call.query.items() if name.startswith("expand")]
        if "latest_charge" not in expanded or intent.latest_charge is None:
            return json(intent)
        charge = domain.charge_of(intent, store.refunded(self._desk.db, intent.id))
        shown = msgspec.to_builtins(intent)
        shown["latest_charge"] = charge
        return json(shown)

    async def list(self, call: Call) -> Answer:
        """GET /v1/payment_intents, newest first."""
        limit, after = forms.limit(call.query), call.query.get("starting_after")
        return _list(store.intents(self._desk.db, after, limit + 1), limit, call.url)

    async def search(self, call: Call) -> Answer:
        """GET /v1/payment_intents/search; unlike Stripe's, what was just made is found at once."""
        limit = forms.limit(call.query)
        clauses = forms.clauses(forms.required(call.query, "query"))
        labels = [(name, value) for field, name, value in clauses if field == "metadata"]
        db = self._desk.db
        found = store.labelled(db, *labels[0]) if labels else store.intents(db, None, 1_000)
        matching = [intent for intent in found if _matches(intent, clauses)]
        return json(
            {
                "object": "search_result",
                "url": call.url,
                "has_more": len(matching) > limit,
                "next_page": None,
                "data": matching[:limit],
            }
        )

    async def refund(self, call: Call) -> Answer:
        """POST /v1/refunds."""
        form = call.form()
        forms.known(form, "payment_intent", "amount", "metadata", "reason")
        id = forms.required(form, "payment_intent")
        amount, metadata = forms.amount(form, "amount"), forms.metadata(form)
        reason, key = form.get("reason"), _key(call)
        work = partial(actions.refund, self._desk, id, amount, reason, metadata, key)
        return await self._once(call, form, self._fault("refund", None), work)

    async def retrieve_refund(self, call: Call) -> Answer:
        """GET /v1/refunds/{id}."""
        refund = store.refund(self._desk.db, call.path["id"])
        if refund is None:
            raise actions.missing("refund", call.path["id"])
        return json(refund)

    async def list_refunds(self, call: Call) -> Answer:
        """GET /v1/refunds, newest first, of one payment_intent if given."""
        limit, after = forms.limit(call.query), call.query.get("starting_after")
        of = call.query.get("payment_intent")
        return _list(store.refunds(self._desk.db, of, after, limit + 1), limit, call.url)

    async def retrieve_dispute(self, call: Call) -> Answer:
        """GET /v1/disputes/{id}."""
        found = store.disputes(self._desk.db, call.path["id"])
        if not found:
            raise actions.missing("dispute", call.path["id"])
        return json(found[0])

    async def list_disputes(self, call: Call) -> Answer:
        """GET /v1/disputes of one payment_intent."""
        of = forms.required(call.query, "payment_intent")
        return _list(store.disputes(self._desk.db, of), forms.limit(call.query), call.url)

    async def retrieve_event(self, call: Call) -> Answer:
        """GET /v1/events/{id}."""
        body = store.event(self._desk.db, call.path["id"])
        if body is None:
            raise actions.missing("event", call.path["id"])
        return Answer(200, body)

    async def list_events(self, call: Call) -> Answer:
        """GET /v1/events, newest first, of one type if given."""
        limit, after = forms.limit(call.query), call.query.get("starting_after")
        type = call.query.get("type")
        return _list(store.events(self._desk.db, type, after, limit + 1), limit, call.url)

    def _fault(self, operation: Operation, intent: Intent | None) -> Fault:
        """Give what goes wrong: as planned by a test, else as the card has it."""
        if (planned := self._switch.take(operation)) is not None:
            return planned
        if intent is None:
            return Fault()
        card = actions.known_card(intent.payment_method or "")
        if card.once and card.fault != Fault() and not actions.first_use(self._desk, intent):
            return Fault()
        return card.fault


def _new_intent(form: dict[str, str]) -> Intent:
    """Read a new intent from a form. Raises Refused (400)."""
    amount = forms.amount(form, "amount")
    if amount is None:
        raise invalid("Missing required param: amount.", code="parameter_missing", param="amount")
    currency = forms.currency(form)
    domain.require_step(amount, currency, "amount")
    token = form.get("payment_method")
    if token:
        actions.known_card(token)
    capture = form.get("capture_method", "automatic")
    if capture not in ("automatic", "automatic_async", "manual"):
        raise invalid(f"Invalid capture_method: {capture}", param="capture_method")
    id = f"pi_{secrets.token_hex(12)}"
    return Intent(
        id=id,
        amount=amount,
        capture_method="manual" if capture == "manual" else "automatic",
        client_secret=f"{id}_secret_{secrets.token_hex(12)}",
        created=int(time.time()),
        currency=currency,
        customer=form.get("customer"),
        description=form.get("description"),
        metadata=forms.metadata(form),
        payment_method=token or None,
        receipt_email=form.get("receipt_email"),
        status="requires_confirmation" if token else "requires_payment_method",
    )


def _no_card() -> Refused:
    return invalid(
        "You cannot confirm this PaymentIntent because it's missing a payment method.",
        code="payment_intent_unexpected_state",
    )


def _key(call: Call) -> str:
    return call.headers.get("idempotency-key", "")


def _matches(intent: Intent, clauses: list[tuple[str, str, str]]) -> bool:
    return all(
        intent.metadata.get(name) == value
        if field == "metadata"
        else getattr(intent, field) == value
        for field, name, value in clauses
    )


def _list(found: list[Any], limit: int, url: str) -> Answer:
    """Answer a page of a list of which one more than `limit` was read."""
    more = len(found) > limit
    return json({"object": "list", "url": url, "has_more": more, "data": found[:limit]})
