"""What a card processor can be asked, and what stands where there is none."""

from typing import Protocol
from uuid import UUID

from merkato.contracts.problem import NotFound
from merkato.payments.domain.payment import (
    Notice,
    Operation,
    Verdict,
)


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
