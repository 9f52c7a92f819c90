"""What people see of the processor: the newest payments, and the challenge of 3-D Secure."""

import hmac
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlencode

from merkato.outside.asgi import Answer, Call, Route, page, redirect
from merkato.outside.page import money, table
from merkato.outside.page import page as frame
from merkato.outside.processor import actions, store
from merkato.outside.processor.actions import Desk
from merkato.outside.processor.domain import Intent

BANNER = "Stand-in card processor: no real money"
NEWEST = 50

_CHALLENGE = """<p>The shop asks for <strong>{amount}</strong>. Is it you who pays?</p>
<form method="post">
<button class="accept" name="answer" value="accept">Yes, pay</button>
<button class="refuse" name="answer" value="refuse">No, refuse</button>
</form>
<p>This page stands in for your bank's. Nothing is charged.</p>"""


class Pages:
    """The pages' routes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """Give the table of routes."""
        challenge = "/challenge/{id}/{secret}"
        return [
            ("GET", "/", self.newest),
            ("GET", challenge, self.ask),
            ("POST", challenge, self.decide),
        ]

    async def newest(self, _call: Call) -> Answer:
        """The newest payments."""
        intents = store.intents(self._desk.db, None, NEWEST)
        if not intents:
            return _page("Payments", "<p>None yet.</p>")
        head = ("When", "Payment", "Amount", "Status", "Card", "Metadata")
        return _page("Newest payments", table(head, map(_row, intents)))

    async def ask(self, call: Call) -> Answer:
        """The challenge."""
        intent = self._challenged(call)
        if intent is None:
            return _page("Nothing to decide", "<p>No payment waits here.</p>", 404)
        if intent.status != "requires_action":
            return _page("Already decided", f"<p>Status: {escape(intent.status)}.</p>")
        amount = money(intent.amount, intent.currency)
        return _page("Confirm your payment", _CHALLENGE.format(amount=amount))

    async def decide(self, call: Call) -> Answer:
        """The customer's answer; leads back to the shop."""
        intent = self._challenged(call)
        accepted = call.form().get("answer") == "accept"
        if intent is None or intent.next_action is None:
            return await self.ask(call)
        back = intent.next_action.redirect_to_url.return_url
        actions.answer_challenge(self._desk, intent, accepted)
        if back is None:
            return _page("Thank you", "<p>You may go back to the shop now.</p>")
        told = {
            "payment_intent": intent.id,
            "payment_intent_client_secret": intent.client_secret,
            "redirect_status": "succeeded" if accepted else "failed",
        }
        return redirect(f"{back}{'&' if '?' in back else '?'}{urlencode(told)}")

    def _challenged(self, call: Call) -> Intent | None:
        """Give the intent of the address; None unless the secret is its own."""
        intent = store.intent(self._desk.db, call.path["id"])
        secret = call.path["secret"].encode()
        if intent is None or not hmac.compare_digest(intent.client_secret.encode(), secret):
            return None
        return intent


def _row(intent: Intent) -> tuple[str, ...]:
    at = datetime.fromtimestamp(intent.created, UTC)
    labels = ", ".join(f"{name}: {value}" for name, value in intent.metadata.items())
    return (
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        escape(intent.id),
        money(intent.amount, intent.currency),
        escape(intent.status),
        escape(intent.payment_method or ""),
        escape(labels),
    )


def _page(title: str, content: str, status: int = 200) -> Answer:
    return page(frame(title, BANNER, content), status)
