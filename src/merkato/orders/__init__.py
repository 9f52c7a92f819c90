"""Orders: carts become orders, orders are confirmed or given up.

Owns     carts, orders with their lines, transitions and credits; a copy of offers; tax rates,
         shipping methods, coupons
Says     OrderPlaced, OrderConfirmed, OrderCancelled, LinesShipped, ShipmentDelivered,
         ReturnRequested, ReturnReceived, ReturnRejected, OrderCredited
Hears    VariantPriced, Product*, Payment*, ReservationLost, UserErased, OrderErased
Asks     inventory (hold these lines), payments (what became of the money?)
Answers  /api/v1/carts, /api/v1/orders, /api/v1/shipments, /api/v1/returns, /api/v1/credits,
         /api/v1/reports, /api/v1/shipping-methods, /api/v1/coupons, /api/v1/tax-rates,
         /api/v1/customer-price-lists
"""
