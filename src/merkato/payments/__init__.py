"""Payments: takes the money for an order once, and gives it back when it must.

Owns     payments, their operations (authorise, capture, void, refund), the ledger, webhooks heard
Says     PaymentAuthorised, PaymentCaptured, PaymentDeclined, PaymentActionRequired, PaymentVoided,
         CaptureFailed, PaymentRefunded, PaymentDisputed, RefundFailed
Hears    OrderPlaced, OrderCancelled, LinesShipped, OrderCredited, UserErased
Asks     the card processor, in jobs, outside any transaction and under a key of our own
Answers  /api/v1/payments, /api/v1/refunds, /api/v1/ledger
"""
