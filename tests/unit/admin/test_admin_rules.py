"""The tables of the back office are whole, and its forms are read right."""

from merkato.admin import domain


def test_the_menu_leads_to_every_table():
    listed = [slug for _, slugs in domain.MENU for slug in slugs]
    assert sorted(listed) == sorted(domain.TABLES)


def test_pieces_of_lines():
    form = {"line.1": "2", "line.2": "0", "line.x": "3", "line.3": "-1", "carrier": "4"}
    form |= {"line.4": "9" * 5_000, "line." + "9" * 5_000: "1"}
    assert domain.pieces(form) == [{"line_no": 1, "quantity": 2}]


LINE = {"line_no": 1, "quantity": 5, "cancelled": 1, "shipped": 3, "returned": 1, "announced": 1}


def test_what_can_be_shipped_and_come_back():
    order = {"status": "confirmed", "lines": [LINE]}
    assert [line["left"] for line in domain.shippable(order)] == [1]
    assert [line["left"] for line in domain.returnable(order)] == [1]
    assert domain.shippable({**order, "status": "cancelled"}) == []
