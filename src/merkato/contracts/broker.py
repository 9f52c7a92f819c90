"""What the broker says: what others published through it, and what somebody should look at."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from merkato.contracts.event import Event


class EventPublished(Event, frozen=True, kw_only=True):
    """Somebody outside published a CloudEvent; only the broker hears it, and logs it as it came.

    Its order is kept per topic and subject. Private as an event of ours: what the log shows is the
    event inside.
    """

    type: ClassVar[str] = "broker.event_published.v1"

    topic: str  # erp.stock_counted
    version: int  # of the topic
    id: str  # what the publisher calls it, unique together with `source`
    source: str
    time: datetime
    subject: str | None
    extensions: dict[str, str]  # further attributes of CloudEvents
    data: str  # JSON
    dataschema: str | None = None  # the publisher's own; None: ours is shown

    @property
    def key(self) -> str:
        """See Event."""
        return f"{self.topic}/{self.subject or self.source}"


class SubscriptionDisabled(Event, frozen=True, kw_only=True):
    """A webhook endpoint gets nothing more until somebody enables it again."""

    type: ClassVar[str] = "broker.subscription_disabled.v1"
    public: ClassVar[tuple[str, ...]] = ("subscription_id", "reason")

    subscription_id: UUID
    reason: str  # gone | failing

    @property
    def key(self) -> str:
        """See Event."""
        return str(self.subscription_id)


class DeadLetterAppeared(Event, frozen=True, kw_only=True):
    """A service gave up on an event; people have to look at it. Later ones of its key wait."""

    type: ClassVar[str] = "broker.dead_letter_appeared.v1"
    public: ClassVar[tuple[str, ...]] = (
        "service", "event_id", "event_type", "tries", "set_aside_at",
    )  # fmt: skip

    service: str
    event_id: UUID
    event_type: str
    tries: int
    set_aside_at: datetime

    @property
    def key(self) -> str:
        """See Event."""
        return str(self.event_id)
