"""Inventory: how many there are, who holds some, and why the number changed.

Owns     stock, its journal, reservations
Says     StockChanged, StockLow, ReservationLost
Hears    OrderPlaced, OrderConfirmed, OrderCancelled, ReturnReceived, OrderCredited,
         VariantPriced
Asks     orders (does this order exist?)
Answers  /api/v1/stock, /api/v1/reservations, /api/v1/locations
"""
