"""What every service says when staff, or a program for them, did something: an audit entry."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from merkato.contracts.event import Event


class ActionNoted(Event, frozen=True, kw_only=True):
    """An entry for the audit trail, which users keeps. Private; personal values are not in it."""

    entry_id: UUID
    at: datetime
    actor: str  # the principal: user:<id>, key:<id> or service:<name>
    role: str | None = None  # of a person, at that time
    action: str  # <service>.<what was done>
    subject: str  # <kind>:<id>
    request_id: str | None = None
    before: dict[str, Any] | None = None  # what differs, as it was …
    after: dict[str, Any] | None = None  # … and as it is since

    @property
    def key(self) -> str:
        """See Event."""
        return str(self.entry_id)


class BrokerActionNoted(ActionNoted, frozen=True, kw_only=True):
    """See ActionNoted."""

    type: ClassVar[str] = "broker.action_noted.v1"


class CatalogActionNoted(ActionNoted, frozen=True, kw_only=True):
    """See ActionNoted."""

    type: ClassVar[str] = "catalog.action_noted.v1"


class InventoryActionNoted(ActionNoted, frozen=True, kw_only=True):
    """See ActionNoted."""

    type: ClassVar[str] = "inventory.action_noted.v1"


class NotificationsActionNoted(ActionNoted, frozen=True, kw_only=True):
    """See ActionNoted."""

    type: ClassVar[str] = "notifications.action_noted.v1"


class OrdersActionNoted(ActionNoted, frozen=True, kw_only=True):
    """See ActionNoted."""

    type: ClassVar[str] = "orders.action_noted.v1"


class PaymentsActionNoted(ActionNoted, frozen=True, kw_only=True):
    """See ActionNoted."""

    type: ClassVar[str] = "payments.action_noted.v1"


class UsersActionNoted(ActionNoted, frozen=True, kw_only=True):
    """See ActionNoted."""

    type: ClassVar[str] = "users.action_noted.v1"


NOTED: dict[str, type[ActionNoted]] = {
    kind.type.partition(".")[0]: kind
    for kind in (
        BrokerActionNoted, CatalogActionNoted, InventoryActionNoted, NotificationsActionNoted,
        OrdersActionNoted, PaymentsActionNoted, UsersActionNoted,
    )
}  # fmt: skip
