"""The routes of the back office."""

from merkato.admin.http import (
    again,
    catalogue,
    categories,
    coupons,
    dashboard,
    events,
    imports,
    letters,
    login,
    me,
    messages,
    orders,
    orders_money,
    people,
    price_lists,
    products,
    reports,
    settings,
    staff,
    stock,
    tables,
    terms,
    variants,
    views,
    webhooks,
)

ROUTES = (
    *dashboard.ROUTES, *login.ROUTES, *orders.ROUTES, *orders_money.ROUTES, *people.ROUTES,
    *staff.ROUTES, *me.ROUTES, *messages.ROUTES, *events.ROUTES, *webhooks.ROUTES, *letters.ROUTES,
    *reports.ROUTES, *again.ROUTES, *catalogue.ROUTES, *products.ROUTES, *variants.ROUTES,
    *categories.ROUTES, *imports.ROUTES, *stock.ROUTES, *price_lists.ROUTES, *terms.ROUTES,
    *coupons.ROUTES, *settings.ROUTES, *views.ROUTES, *tables.ROUTES,
)  # fmt: skip
