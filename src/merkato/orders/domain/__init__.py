"""The rules of carts and orders: pricing, placing, and an order's life. Pure."""
