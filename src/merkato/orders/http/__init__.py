"""The HTTP face of orders, by what it is about."""

from merkato.orders.http.carts import ROUTES as CARTS
from merkato.orders.http.coupons import ROUTES as COUPONS
from merkato.orders.http.credits import ROUTES as CREDITS
from merkato.orders.http.invoices import ROUTES as INVOICES
from merkato.orders.http.orders import ROUTES as ORDERS
from merkato.orders.http.overview import ROUTES as OVERVIEW
from merkato.orders.http.people import ROUTES as PEOPLE
from merkato.orders.http.placing import ROUTES as PLACING
from merkato.orders.http.previews import ROUTES as PREVIEWS
from merkato.orders.http.reports import ROUTES as REPORTS
from merkato.orders.http.returns import ROUTES as RETURNS
from merkato.orders.http.shipments import ROUTES as SHIPMENTS
from merkato.orders.http.shipping import ROUTES as SHIPPING
from merkato.orders.http.taxes import ROUTES as TAXES

ROUTES = (
    *CARTS, *COUPONS, *PLACING, *ORDERS, *SHIPMENTS, *RETURNS, *CREDITS, *INVOICES, *REPORTS,
    *PEOPLE, *PREVIEWS, *OVERVIEW,
    *SHIPPING, *TAXES,
)  # fmt: skip
