"""What the pages of orders, people and events work out."""

from base64 import b64encode
from hashlib import sha256

import pytest

from merkato.admin.domain import desk
from merkato.admin.domain.goods import Wrong
from merkato.admin.templates import actor, coded, country, moment


def test_a_moment_is_marked_as_one_and_nothing_is_none():
    at = "2026-11-29T02:05:31.5+00:00"
    assert moment(at) == f'<time datetime="{at}">2026-11-29 02:05</time>'
    assert not moment(None)


def test_bars_are_shares_of_the_longest():
    bars = desk.bars([("a", 50, "50"), ("b", 200, "200"), ("c", -3, "-3")])
    assert [bar.share for bar in bars] == [25, 100, 0]
    assert [bar.share for bar in desk.bars([("a", 0, "0")])] == [0]


def test_orders_by_carts():
    assert (desk.per_cart(1, 3), desk.per_cart(2, 3), desk.per_cart(0, 0)) == ("33 %", "67 %", "–")


def test_speeds_are_by_what_was_asked():
    answers = [("/api/v1/orders?limit=1", 10)] * 39 + [("/api/v1/orders/x", 900), ("/readyz", 1)]
    assert desk.speeds(answers) == [("orders", 40, 10, 10), ("/readyz", 1, 1, 1)]


def test_permissions_are_grouped_and_none_is_lost():
    names = ["orders:read", "payments:read", "new:thing", "api-keys:write"]
    groups = desk.grouped(names)
    assert [title for title, _ in groups] == ["Orders", "Money", "People", "Other"]
    assert sorted(one for _, own in groups for one in own) == sorted(names)


def test_a_mails_own_styles_are_allowed_by_their_hashes_alone():
    html = "<style>p{margin:0}</style><p style=\"font:12px 'A'\">x</p><b style='color:&quot;'>y</b>"
    allowed = desk.allowed_styles(html)
    for text in ("font:12px 'A'", 'color:"', "p{margin:0}"):
        assert b64encode(sha256(text.encode()).digest()).decode() in allowed
    assert "unsafe-inline" not in allowed
    assert desk.allowed_styles("<p>plain</p>") == ""


def test_a_patch_makes_one_object_of_the_other():
    before = {"a": 1, "b": {"c": 1, "d": 2}, "gone": 1, "same": None}
    after = {"a": 2, "b": {"c": 1}, "new": [1], "same": None}
    assert desk.patch(before, after) == {"a": 2, "b": {"d": None}, "gone": None, "new": [1]}
    assert desk.patch(after, after) == {}
    with pytest.raises(Wrong, match="JSON object"):
        desk.edited("[1]")


def test_what_is_thought_of_names_what_it_has_to():
    one = [{"line_no": 1, "quantity": 2}]
    assert desk.credit_wish({"kind": "return", "shipping": "keep"}, one) == {
        "kind": "return", "lines": one, "shipping": "keep",
    }  # fmt: skip
    assert desk.credit_wish({"kind": "cancellation"}, []) == {"kind": "cancellation"}
    for form in ({"kind": "return"}, {"kind": "cancellation", "part": "yes"}, {"kind": "goodwill"}):
        with pytest.raises(Wrong):
            desk.credit_wish(form, [])


def test_amounts_of_our_own_forms_are_minor_units_or_refused():
    assert desk.amount_minor({"amount_minor": "350"}) == 350
    for text in ("", "0", "-1", "3.5", "x", "٣", "9" * 5_000):
        with pytest.raises(Wrong):
            desk.amount_minor({"amount_minor": text})


def test_code_in_a_description_is_marked_and_all_else_is_text():
    written = coded("`<b>` & `amount_minor`, one ` alone")
    assert written == ("<code>&lt;b&gt;</code> &amp; <code>amount_minor</code>, one ` alone")


def test_people_and_countries_are_named_where_they_are_known():
    assert actor("user:7", {"user:7": "Ada"}) == "Ada"
    assert [actor(one, {}) for one in ("user:7", "service:orders")] == ["a person", "orders"]
    assert (country("DE"), country("ZQ")) == ("Germany", "ZQ")


def test_entries_of_the_trail_lead_to_what_they_are_about():
    assert desk.page_of("sku:A:1") == ("/admin/stock/", "A:1")
    assert desk.page_of("return:7") == ("", "7")
