"""The cart of a browser, as it is kept for the pages."""

from merkato.chassis.visit import Session
from merkato.storefront.store import carts


def test_a_cart_without_totals_is_drawn_with_noughts():
    found = {"lines": [{"quantity": 2}], "totals": None}
    assert set(carts.kept(Session(), found)["totals"].values()) == {0}
    found["totals"] = {"grand_minor": 5}
    assert carts.kept(Session(), found)["totals"] == {"grand_minor": 5}
