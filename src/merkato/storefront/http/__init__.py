"""The routes of storefront."""

from merkato.storefront.http import account, cart, checkout, login, orders, shelf

ROUTES = (
    *shelf.ROUTES, *cart.ROUTES, *checkout.ROUTES, *orders.ROUTES, *login.ROUTES, *account.ROUTES,
)  # fmt: skip
