"""Data of each template as a preview shows them, and by which an edited one is tried."""

from collections.abc import Mapping
from typing import Any

_LINES = [
    {"title": "Tea <Assam> & Co", "quantity": 2, "gross_minor": 123_456},
    {"title": "Cup “Käthe”", "quantity": 1, "gross_minor": 0},
]
_ORDER = {
    "order_id": "01957b6e-4a0c-8f1d-9a55-2f3b6c1d7e90",
    "number": "K7QM-2F9X-4",
    "name": "Ada",
    "currency": "EUR",
}
_WHOLE = {
    **_ORDER,
    "lines": _LINES,
    "totals": {
        "items_minor": 123_956,
        "discount_minor": 500,
        "shipping_minor": 490,
        "tax_minor": 19_711,
        "grand_minor": 123_946,
        "credited_minor": 0,
    },
}
_PAID = {**_ORDER, "amount_minor": 1_390}
_GOODS = {**_ORDER, "lines": _LINES}
_CREDIT = {**_PAID, "lines": _LINES, "reason": "The cup was cracked."}

SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "email_changed": {"name": "Ada", "new_email": "ada@merkato.example"},
    "email_verification": {"name": "Ada"},
    "lines_cancelled": {**_CREDIT, "kind": "cancellation"},
    "message": {"subject": "We open on Sunday", "text": "Dear Ada,\n\ncome & have a cup of tea."},
    "order_cancelled": {**_WHOLE, "reason": "payment-timeout", "was_confirmed": True},
    "order_confirmed": _WHOLE,
    "order_credited": {**_CREDIT, "kind": "return"},
    "order_placed": _WHOLE,
    "order_shipped": {
        **_GOODS,
        "carrier": "Swift & Sons",
        "tracking": "SW123456789DE",
        "tracking_url": "https://swift.example/track?n=SW123456789DE&l=en",
        "complete": False,
    },
    "password_reset": {"name": "Ada"},
    "payment_action_required": _PAID,
    "payment_declined": {**_PAID, "reason": "insufficient_funds"},
    "payment_refunded": _PAID,
    "refresh_token_reused": {"name": "Ada"},
    "refund_failed": {
        **_PAID,
        "refund_id": "01957b6e-4a0c-8f1d-9a55-2f3b6c1d7e91",
        "reason": "expired_or_canceled_card",
    },
    "registration_repeated": {"name": "Ada"},
    "reservation_lost": {**_ORDER, "lines": [{"title": "TEA-1", "quantity": 2}]},
    "return_received": _GOODS,
    "return_rejected": {**_GOODS, "reason": "It was worn for a season."},
    "return_requested": _GOODS,
    "shipment_delivered": _GOODS,
    "staff_invited": {"role": "staff", "invited_by": "Grace"},
    "stock_low": {"sku": "TEA-1", "available": 2, "threshold": 5},
}
