"""The HTTP face of orders, by what it is about."""

from merkato.orders.http.carts import ROUTES as CARTS
from merkato.orders.http.orders import ROUTES as ORDERS
from merkato.orders.http.people import ROUTES as PEOPLE
from merkato.orders.http.placing import ROUTES as PLACING

ROUTES = (*CARTS, *PLACING, *ORDERS, *PEOPLE)
