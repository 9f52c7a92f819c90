"""Notifications: tells people what happened, by mail and in the shop, once per fact.

Owns     messages, due, orders_seen, preferences, suppressed, edited
Says     NotificationSent, NotificationFailed
Hears    OrderPlaced, OrderConfirmed, OrderCancelled, LinesShipped, ShipmentDelivered,
         ReturnRequested, ReturnReceived, ReturnRejected, OrderCredited, PaymentDeclined,
         PaymentActionRequired, PaymentRefunded, RefundFailed, ReservationLost,
         EmailVerificationRequested, PasswordResetRequested, RegistrationRepeated,
         RefreshTokenReused, EmailChanged, StaffInvited, StockLow, UserErased
Asks     users and orders, for links and guests' tokens when a mail is sent; a mail server and
         gateways to telephones, in jobs
Answers  /api/v1/notifications, /api/v1/notification-templates,
         /api/v1/me/notification-preferences
"""
