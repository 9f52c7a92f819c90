"""Every template in every locale, and mails as bytes: what is written is what is read."""

import email
import email.policy
from datetime import UTC, datetime
from importlib.resources import files
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from merkato.cli import plan
from merkato.config import Config, Storefront
from merkato.notifications.domain.addresses import BadAddress
from merkato.notifications.domain.facts import WITH_LINK, greeting_name
from merkato.notifications.domain.messages import Message, message_id, pause_s
from merkato.notifications.providers.mail import compose, letterhead
from merkato.notifications.providers.smtp import Server
from merkato.notifications.templates import LOCALES, TEMPLATES, Rendered, Texts
from merkato.notifications.templates.samples import SAMPLES

TEXTS = Texts("Käse & Co", "https://shop.example/")
HEAD = letterhead("Merkato <shop@merkato.example>", "Tea")
AT = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
STAFF = {"stock_low", "refund_failed", "reservation_lost"}
WRITTEN_AS = {"order_id": "order_url", "currency": "money(", "amount_minor": "amount_minor"}
EVERY = [(template, locale) for template in TEMPLATES for locale in LOCALES]


def source(template, locale):
    folder = files("merkato.notifications").joinpath("templates")
    return folder.joinpath(f"{template}.{locale}.txt").read_text()


def parsed(said, recipient="ada@example.com", message_id="x.confirmed.1@merkato.example"):
    written = compose(HEAD, recipient, message_id, said, "en", AT).source
    assert b"\n" not in written.replace(b"\r\n", b"")
    assert max(map(len, written.split(b"\r\n"))) <= 998
    return email.message_from_bytes(written, policy=email.policy.default)


def test_each_template_has_sample_data():
    assert set(SAMPLES) == set(TEMPLATES)


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_every_template_renders(template, locale):
    said = TEXTS.render(template, locale, SAMPLES[template], link="https://shop.example/l?a=1&b=2")
    for part in (said.subject, said.summary, said.text, said.html):
        assert part.strip()
        assert "{" not in part
        assert "None" not in part
    assert "\n\n\n" not in said.text
    assert f'<html lang="{locale}">' in said.html
    assert "Käse &amp; Co" in said.html
    assert "Käse & Co" in said.text or template in STAFF
    if template in WITH_LINK:
        assert "https://shop.example/l?a=1&b=2" in said.text
        assert "https://shop.example/l?a=1&amp;b=2" in said.html
    if "lines" in SAMPLES[template] and template != "reservation_lost":
        assert "Tea <Assam> & Co" in said.text
        assert "Tea &lt;Assam&gt; &amp; Co" in said.html
        assert f"https://shop.example/orders/{SAMPLES[template]['order_id']}" in said.text
    mail = parsed(said)
    assert mail["Subject"] == said.subject
    assert (
        mail.get_body(("plain",)).get_content().replace("\r\n", "\n").strip() == said.text.strip()
    )
    assert mail.get_body(("html",)).get_content().replace("\r\n", "\n").strip() == said.html.strip()


@pytest.mark.parametrize(
    ("template", "locale", "missing"),
    [
        (template, locale, name)
        for template, locale in EVERY
        for name in SAMPLES[template]
        if WRITTEN_AS.get(name, f" {name} ") in source(template, locale)
    ],
)
def test_data_that_lack_a_name_are_noticed(template, locale, missing):
    data = {name: value for name, value in SAMPLES[template].items() if name != missing}
    with pytest.raises(UndefinedError):
        TEXTS.render(template, locale, data, link="x")


@pytest.mark.parametrize(
    ("locale", "subject", "total"),
    [
        ("en", "Your order K7QM-2F9X-4 is confirmed", "€1,239.46"),
        ("de", "Ihre Bestellung K7QM-2F9X-4 ist bestätigt", "1.239,46\N{NO-BREAK SPACE}€"),
        ("de-AT", "Ihre Bestellung K7QM-2F9X-4 ist bestätigt", "€\N{NO-BREAK SPACE}1.239,46"),
        ("fr", "Your order K7QM-2F9X-4 is confirmed", "€1,239.46"),
        ("xx-YY", "Your order K7QM-2F9X-4 is confirmed", "€1,239.46"),
    ],
)
def test_a_locale_falls_back_to_its_language_and_then_to_english(locale, subject, total):
    said = TEXTS.render("order_confirmed", locale, SAMPLES["order_confirmed"])
    assert said.subject == subject
    assert total in said.text.replace("\N{NARROW NO-BREAK SPACE}", ".")


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(1390, "JPY", "¥1,390"), (1390, "KWD", "KWD1.390"), (1390, "RSD", "RSD13.90"),
     (-5, "USD", "-$0.05")],
)  # fmt: skip
def test_money_is_written_by_the_currencys_own_exponent(minor, currency, shown):
    said = TEXTS.headline(
        "payment_refunded",
        "en",
        {**SAMPLES["payment_refunded"], "currency": currency, "amount_minor": minor},
    )
    assert said.subject.startswith(shown)


@pytest.mark.parametrize("locale", LOCALES)
def test_an_amount_that_no_card_can_pay_is_not_the_cards_fault(locale):
    data = {**SAMPLES["payment_declined"], "reason": "amount-not-possible-by-card"}
    said = TEXTS.render("payment_declined", locale, data)
    for words in (said.summary, said.text, said.html):
        assert "limit" not in words.lower()
        assert {"en": "in another way", "de": "auf andere Weise"}[locale] in words


@pytest.mark.parametrize("reason", ["customer", "staff", "payment-refused", "stock-lost", "new"])
def test_a_cancellation_says_why(reason):
    data = {**SAMPLES["order_cancelled"], "reason": reason}
    words = [TEXTS.headline("order_cancelled", locale, data).summary for locale in LOCALES]
    assert all(words)
    assert words[0] != words[1]


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: all@example.com", "x\nBcc: a@b", "x\x00y", "x\u2028Bcc: a@b", "x\x85Bcc: y"]
)
def test_no_data_end_a_header(evil):
    said = TEXTS.render("stock_low", "en", {"sku": evil, "available": 1, "threshold": 2})
    mail = parsed(said)
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("Low stock: x")
    assert len(mail.items()) == 9


@given(st.text(max_size=300), st.text(max_size=2_000), st.text(max_size=500))
def test_whatever_is_written_is_read_back(subject, text, html):
    clean = [part.encode("utf-8", "replace").decode() for part in (subject, text, html)]
    mail = parsed(Rendered(clean[0], "", clean[1], clean[2]))
    assert mail.defects == []
    assert len(mail.items()) == 9
    assert mail["Auto-Submitted"] == "auto-generated"
    plain = mail.get_body(("plain",)).get_payload(decode=True).decode()
    lines = [line for line in clean[1].replace("\r\n", "\n").split("\n")]
    assert plain.replace("\r\n", "\n").rstrip("\n") == "\n".join(lines).rstrip("\n")


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example>\r\nRCPT TO:<c@d.example", "a@b\nc", "a b@c", "a@b,c@d", "<a@b>", "a", "@b",
        "a@", "a@b@c", "x" * 65 + "@b", "a@" + "b" * 260, "a\x00@b", 'a"@b', "a@b..c", "a@.b",
    ],
)  # fmt: skip
def test_what_is_no_address_gets_no_mail(address):
    with pytest.raises(BadAddress):
        compose(HEAD, address, "m@x", Rendered("s", "s", "t", "h"), "en", AT)


def test_the_letterhead_is_encoded():
    assert letterhead("shop@x.example", "Tea & Co").line == '"Tea & Co" <shop@x.example>'
    assert letterhead('"Tea, Ltd" <shop@x.example>', "Tea").line == '"Tea, Ltd" <shop@x.example>'
    line = letterhead("Bäcker <shop@x.example>", "Tea").line
    assert line.isascii()
    mail = email.message_from_string(f"From: {line}\n\n", policy=email.policy.default)
    assert mail["From"] == "Bäcker <shop@x.example>"
    with pytest.raises(BadAddress):
        letterhead("nobody", "Tea")


def test_mails_bear_the_name_on_the_pages_unless_told_otherwise():
    pages = Storefront(name="Tea & Co", session_secret="s" * 32)
    alone = plan.alone(Config(storefront=pages), "notifications", {}, "127.0.0.1", 8000, "::1/128")
    assert (alone.shop_name, alone.storefront.session_secret) == ("Tea & Co", "")
    older = b'{"notifications": {"shop_name": "Post"}, "storefront": {"name": "Tea & Co"}}'
    assert msgspec.json.decode(older, type=Config).shop_name == "Post"


def message(fact="0190a1b2.confirmed", **more):
    return Message(
        **{"id": UUID(int=7 << 96), "channel": "email", "fact": fact, "template": "order_confirmed",
           "locale": "en", "recipient": "ada@example.com", "data": {}} | more
    )  # fmt: skip


def test_a_message_id_depends_on_the_message_alone():
    named = message_id(message(), "merkato.example")
    assert named == "0190a1b2.confirmed.00000007@merkato.example"
    assert message_id(message(tries=5), "merkato.example") == named
    assert message_id(message(id=uuid4()), "merkato.example") != named
    assert message_id(message(edition=2), "merkato.example") != named
    odd = message_id(message("<T@A>..x\r\n.stock-low.1"), "merkato.example")
    assert odd.count("@") == 1
    assert not set(odd) & set("<>\r\n ")


def test_pauses_grow_and_end():
    assert [pause_s(n) for n in (0, 1, 2, 3, 9, 10, 10_000)] == [
        0, 5, 10, 20, 1_280, 1_800, 1_800,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada", "Ada"),
        (None, None),
        ("J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("http://evil.example", None),
        ("win at evil.example", None),
        ("a@b", None),
        ("x" * 61, None),
    ],
)
def test_a_name_is_no_place_for_a_message_of_somebody_else(name, shown):
    assert greeting_name(name) == shown


def test_a_server_is_read_from_its_url():
    server = Server.at("smtps://me:p%40ss@mail.example")
    assert (server.host, server.port, server.user, server.password, server.tls) == (
        "mail.example", 465, "me", "p@ss", True,
    )  # fmt: skip
    for wrong in ("http://x", "smtp://", "mail.example:25"):
        with pytest.raises(ValueError, match="smtp_url"):
            Server.at(wrong)
