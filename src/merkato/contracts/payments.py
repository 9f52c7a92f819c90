"""What payments says: what became of the money. Amounts in minor units of `currency`."""

from typing import ClassVar
from uuid import UUID

import msgspec

from merkato.contracts.event import Confidential, Event

PUBLIC = ("order_id", "payment_id", "amount_minor", "currency")


class _AboutPayment(Event, frozen=True, kw_only=True):
    order_id: UUID
    payment_id: UUID
    amount_minor: int
    currency: str

    public: ClassVar[tuple[str, ...]] = PUBLIC

    @property
    def key(self) -> str:
        return str(self.order_id)


class PaymentAuthorised(_AboutPayment, frozen=True, kw_only=True):
    """The money is promised: a card is charged at shipment, or the order is on account."""

    type: ClassVar[str] = "payments.payment_authorised.v1"
    public: ClassVar[tuple[str, ...]] = (*PUBLIC, "method")

    method: str  # on_account | card


class PaymentCaptured(_AboutPayment, frozen=True, kw_only=True):
    """The money was taken, or has arrived: `amount_minor` with this capture."""

    type: ClassVar[str] = "payments.payment_captured.v1"
    public: ClassVar[tuple[str, ...]] = (*PUBLIC, "captured_total_minor")

    captured_total_minor: int | None = None  # with those before; null: this was all


class PaymentDeclined(_AboutPayment, frozen=True, kw_only=True):
    """The processor said no to this attempt; the customer may try again unless `final`."""

    type: ClassVar[str] = "payments.payment_declined.v1"
    public: ClassVar[tuple[str, ...]] = (*PUBLIC, "attempt", "reason", "final")

    attempt: int
    reason: str
    final: bool = False


class PaymentActionRequired(_AboutPayment, frozen=True, kw_only=True):
    """The customer has to do something at `url`, such as 3-D Secure."""

    type: ClassVar[str] = "payments.payment_action_required.v1"
    public: ClassVar[tuple[str, ...]] = (*PUBLIC, "attempt")

    attempt: int
    url: Confidential[str]


class PaymentVoided(_AboutPayment, frozen=True, kw_only=True):
    """A promise was given back before any money was taken."""

    type: ClassVar[str] = "payments.payment_voided.v1"


class CaptureFailed(_AboutPayment, frozen=True, kw_only=True):
    """The processor refused to take what a card had promised; a person has to look."""

    type: ClassVar[str] = "payments.capture_failed.v1"
    public: ClassVar[tuple[str, ...]] = (*PUBLIC, "reason")

    reason: str


class PaymentRefunded(_AboutPayment, frozen=True, kw_only=True):
    """Money went back to the customer; `amount_minor` is this refund's."""

    type: ClassVar[str] = "payments.payment_refunded.v1"
    public: ClassVar[tuple[str, ...]] = (
        *PUBLIC, "refund_id", "refunded_total_minor", "credit_id",
    )  # fmt: skip

    refund_id: UUID
    refunded_total_minor: int
    credit_id: UUID | None = None  # the credit of the order that it pays
    locale: str = "en"


class RefundFailed(_AboutPayment, frozen=True, kw_only=True):
    """The processor refused a refund for good; a person has to look."""

    type: ClassVar[str] = "payments.refund_failed.v1"
    public: ClassVar[tuple[str, ...]] = (
        *PUBLIC, "refund_id", "reason", "credit_id", "refunded_total_minor",
    )  # fmt: skip

    refund_id: UUID
    reason: str
    credit_id: UUID | None = None
    refunded_total_minor: int | None = None  # what has gone back all the same


class PaymentDisputed(_AboutPayment, frozen=True, kw_only=True):
    """The card's holder denies a charge. `lost`: its money is gone, `amount_minor` of it."""

    type: ClassVar[str] = "payments.payment_disputed.v1"
    public: ClassVar[tuple[str, ...]] = (
        *PUBLIC, "dispute_id", "state", "refunded_total_minor",
    )  # fmt: skip

    dispute_id: UUID
    state: str  # opened | won | lost
    refunded_total_minor: int  # what has gone back, with a lost dispute


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to ``GET /api/v1/payments/by-order/{order_id}``, for service tokens only."""

    order_id: UUID
    payment_id: UUID
    amount_minor: int
    currency: str
    method: str  # on_account | card
    state: str  # due | sent | unknown | action_required | declined | authorised | captured | voided
    attempt: int  # number of the newest attempt
    final: bool = False  # declined for good
    reason: str | None = None
