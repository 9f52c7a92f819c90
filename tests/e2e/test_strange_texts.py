"""Strange texts in every text that people keep in the shop: equal when read again, or refused."""

import msgspec
import pytest
from e2e.test_bad_input import in_turn, is_problem
from shopping import new_key

# What takes long and is decided by services alone.
ONE_PROCESS = pytest.mark.parametrize("shop", [False], ids=["one-process"], indirect=True)
NAUGHTY = [
    "undefined", "null", "NULL", "(null)", "nil", "true", "NaN", "-1", "1/0", "0x0", "1e1000",
    "../../../etc/passwd", "$HOME", "%d%s%n", "{0}", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7 %>",
    "<script>alert(0)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)",
    "1;DROP TABLE users", "1'; DROP TABLE users-- 1", "' OR 1=1 -- 1", "'", '"', "\\", "\\\\",
    "`touch /tmp/blns.fail`", "$(touch /tmp/blns.fail)", "=cmd|' /C calc'!A0", "@SUM(1)",
    "Ω≈ç√∫˜µ≤≥÷", "田中さんにあげて下さい", "표준국어대사전",
    "\u05d4\u05b8\u05d9\u05b0test\u0627\u0644\u0635", "\ufdfa",
    "😍👩\u200d❤\ufe0f\u200d💋\u200d👩🇺🇸",
    "１２３", "İıſK", "ﬀ", "\u1e30\u0334\u0359\u030de\u0336", "Z\u032e\u031e\u0320\u0359\u0345",
    "˙ɐnbᴉlɐ", "𝐓𝐡𝐞 𝓺𝓾𝓲𝓬𝓴", "⒯⒣⒠", "test\u2060test", "\u00a0", "\u200b", "\u202a\u202atest\u202a",
    "\u2066test\u2067", "\u202eevil", "\ufeffbom", "\ufffe", "\uffff", "a\u0301", "\x7f",
    "\x1b[31m",
    "CRLF\r\nSet-Cookie: a=b", "line\nfeed", "tab\there", "x" * 10_000, "\U000e0041", "ab\u0085cd",
]  # fmt: skip
TEXT = "a plain text"  # in a body: here goes a text
NEW = "new-name"  # and here a name that is new each time
ADDRESS = dict.fromkeys(
    ("name", "company", "city", "region", "postal_code", "phone", "tax_id"), TEXT
) | {"lines": [TEXT, TEXT], "country": "DE"}
CONTACT = {"email": "ada@example.org", "name": TEXT}


def texts(**more):
    return {"en": {"title": TEXT, **more}}


STAFFS = [  # what staff write: where to, and a body that is taken when its texts are plain
    ("POST /products", {
        "status": "draft", "texts": texts(description=TEXT, slug=NEW), "attributes": {"note": TEXT},
        "metadata": {"note": TEXT}, "variants": [{"sku": NEW, "metadata": {"note": TEXT}}],
    }),
    ("POST /categories", {"texts": texts(description=TEXT, slug=NEW)}),
    (f"PUT /roles/{NEW}", {"title": TEXT, "permissions": ["orders:read"]}),
    ("POST /api-keys", {"name": TEXT, "scopes": ["orders:read"]}),
    ("POST /price-lists", {"name": NEW, "title": TEXT}),
    (f"PUT /shipping-methods/{NEW}", {
        "titles": {"en": TEXT, "de": TEXT}, "prices": {"EUR": 1}, "days_min": 1, "days_max": 2,
    }),
    ("POST /subscriptions", {"url": f"http://127.0.0.1:9/{NEW}", "description": TEXT}),
    ("POST /topics", {"name": f"test.{NEW}", "description": TEXT, "schema": {"type": "object"}}),
]  # fmt: skip
CUSTOMERS = [
    ("PATCH /me", {"name": TEXT}),
    ("POST /me/addresses", ADDRESS),
    ("POST /orders", {
        "lines": [{"sku": "SKU", "quantity": 1}], "contact": CONTACT, "shipping_address": ADDRESS,
        "billing_address": ADDRESS, "shipping_method": "standard", "metadata": {"note": TEXT},
        "payment": {"method": "on_account"},
    }),
]  # fmt: skip


def places(body, at=()):
    """Where in a body a text goes."""
    if body == TEXT:
        yield at
    if isinstance(body, dict | list):
        for name, one in body.items() if isinstance(body, dict) else enumerate(body):
            yield from places(one, (*at, name))


def read(body, place):
    for name in place:
        body = body[name]
    return body


def with_text(body, place, text):
    """A body with a text at a place, and new names."""
    made = msgspec.json.decode(msgspec.json.encode(body).replace(NEW.encode(), name().encode()))
    read(made, place[:-1])[place[-1]] = text
    return made


def name():
    return f"n{new_key()[:12]}"


class Writer:
    """Sends each text to each place; counts those that were kept as they were."""

    def __init__(self, shop, token):
        self.shop, self.token, self.kept = shop, token, {}

    async def __call__(self, route, body, place, text):
        method, path = route.split()
        where, headers = "/api/v1" + path.replace(NEW, name()), {}
        if method == "PATCH":
            headers["if-match"] = (await self.shop("GET", where, token=self.token)).headers["etag"]
        answer = await self.shop(
            method, where, with_text(body, place, text), token=self.token, key=new_key(),
            headers=headers,
        )  # fmt: skip
        is_problem(answer, allowed={200, 201, 202})
        taken = answer.status < 300
        if taken:
            assert read(answer.json(), place) == text
        self.kept[route, place] = self.kept.get((route, place), 0) + taken
        if path in ("/me/addresses", "/subscriptions") and taken:  # one may have so many
            ends = {"token": self.token, "headers": {"if-match": answer.headers["etag"]}}
            await self.shop("DELETE", f"{where}/{answer.json()['id']}", **ends)

    async def write(self, bodies, at_once):
        each = [(r, b, at, text) for r, b in bodies for at in places(b) for text in NAUGHTY]
        await in_turn(self, each, at_once)
        few = {at: n for at, n in self.kept.items() if n < len(NAUGHTY) // 2}
        assert not few


@ONE_PROCESS
async def test_strange_texts_come_back_as_they_were_or_are_refused(shop):
    _, token = await shop.member()
    sku = await shop.sell(stock=100_000)
    theirs = [
        (route, msgspec.json.decode(msgspec.json.encode(body).replace(b"SKU", sku.encode())))
        for route, body in CUSTOMERS
    ]
    await Writer(shop, shop.admin).write(STAFFS, 8)
    await Writer(shop, token).write(theirs, 1)  # each change of a name sees the one before
