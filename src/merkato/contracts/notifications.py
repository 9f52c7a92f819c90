"""What notifications says: what became of a message."""

from typing import ClassVar
from uuid import UUID

from merkato.contracts.event import Event


class _AboutNotification(Event, frozen=True, kw_only=True):
    notification_id: UUID
    channel: str  # email | sms | push
    template: str

    @property
    def key(self) -> str:
        return str(self.notification_id)


class NotificationSent(_AboutNotification, frozen=True, kw_only=True):
    """The mail server, or the gateway to telephones, took the message."""

    type: ClassVar[str] = "notifications.notification_sent.v1"
    public: ClassVar[tuple[str, ...]] = ("notification_id", "channel", "template")


class NotificationFailed(_AboutNotification, frozen=True, kw_only=True):
    """The message was given up."""

    type: ClassVar[str] = "notifications.notification_failed.v1"
    public: ClassVar[tuple[str, ...]] = ("notification_id", "channel", "template", "reason")

    reason: str
