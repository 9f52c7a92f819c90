"""Texts that the shop writes itself: what may be written, and what nobody can break out of."""

import msgspec
import pytest

from merkato.contracts.problem import Validation
from merkato.notifications.actions.texts import LINK, try_out
from merkato.notifications.domain.texts import Edited
from merkato.notifications.templates import LOCALES, TEMPLATES, Texts
from merkato.notifications.templates.edited import HOSTILE
from merkato.notifications.templates.samples import SAMPLES

EVERY = [(template, locale) for template in TEMPLATES for locale in LOCALES]


def texts():
    return Texts("Käse & Co", "https://shop.example")


def words(template="order_confirmed", locale="en", **parts):
    plain = {"subject": "{{ number }}", "summary": "", "text": "", "html": "<p>{{ name }}</p>"}
    return Edited(template=template, locale=locale, version=0, **plain | parts)


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_our_own_texts_can_be_edited_and_say_the_same(template, locale):
    one = texts().source(template, locale)
    edited = try_out(texts(), one)
    ours = texts().render(template, locale, SAMPLES[template], link=LINK)
    assert edited.subject == ours.subject
    assert edited.summary == ours.summary
    assert edited.text == ours.text
    assert "".join(edited.html.split()) == "".join(ours.html.split())


REFUSED = [
    ("text", "{{ ''.__class__.__mro__ }}", "underscore"),
    ("text", "{{ lines.__len__() }}", "only these can be called"),
    ("text", "{{ name.upper() }}", "only these can be called"),
    ("text", "{{ name|attr('x') }}", "only these filters"),
    ("text", "{{ name|tojson }}", "only these filters"),
    ("text", "{{ name|center(1000000000) }}", "only these filters"),
    ("html", "{{ name|safe }}", "only these filters"),
    ("text", "{% for x in range(1000000) %}{% endfor %}", "a loop runs over data"),
    ("text", "{% for a in lines %}{% for b in lines %}{% endfor %}{% endfor %}", "not inside"),
    ("text", "{{ 'a' * 1000000000 }}", "not allowed"),
    ("text", "{{ 9 ** 9 ** 9 }}", "not allowed"),
    ("text", "{% set x = 1 %}", "not allowed"),
    ("text", "{% include 'layout.html' %}", "not allowed"),
    ("text", "{% from 'parts.txt' import order %}", "not allowed"),
    ("text", "{% extends 'layout.html' %}", "not allowed"),
    ("text", "{% macro x() %}{{ x() }}{% endmacro %}", "not allowed"),
    ("text", "{% block x %}{% endblock %}", "not allowed"),
    ("text", "{{ lines[name] }}", "fixed name"),
    ("text", "{{ money(*lines) }}", "only these can be called"),
    ("text", "{% if %}", "Line 1"),
    ("text", "{{ unheard_of }}", "unheard_of"),
    ("text", "{{ totals.unheard_of }}", "unheard_of"),
    ("text", "{{ lines[7].title }}", "sample data"),
    ("text", "x" * 20_001, "At most"),
    ("subject", "{{ name", "Line 1"),
    ("subject", " {{ '' }} ", "needs a subject"),
    ("html", "<script>alert(1)</script>", "<script> is not allowed"),
    ("html", "<p onclick='x'>a</p>", "onclick is not allowed"),
    ("html", "<a href='javascript:x'>a</a>", "a link begins with"),
    ("html", "<a href='{{ name }}'>a</a>", "a link begins with"),
    ("html", "<img src='data:text/html,x'>", "a link begins with"),
    ("html", "<iframe></iframe>", "not allowed"),
    ("html", "<p style='background:url(http://x)'>a</p>", "style"),
    ("html", "<p style='color:{{ name }}'>a</p>", "style"),
    ("html", "<p title={{ name }}>a</p>", "a link begins with"),
    ("html", "<{{ name }}>", "sample|not allowed|closed"),
    ("html", "</td></table><p>a</p>", "closes nothing"),
    ("html", "<div>", "not closed"),
    ("html", "<!doctype html>", "declarations"),
]


@pytest.mark.parametrize(("part", "source", "why"), REFUSED)
def test_what_may_not_be_written_is_refused(part, source, why):
    with pytest.raises(Validation, match=why):
        try_out(texts(), words(**{part: source}))


def test_what_may_be_written_is_written():
    html = (
        "{{ heading('Thanks, ' ~ name) }}<p title=\"{{ name }}\">{{ name|upper }}</p>"
        "{% for line in lines %}<p>{{ loop.index }}. {{ line.title }}</p>{% else %}-{% endfor %}"
        "{{ order(lines, totals, money, words) }}{{ button(order_url, 'See it') }}"
        "<p>{% if totals.grand_minor > 100 and not name %}a{% elif name %}b{% endif %}</p>"
    )
    said = try_out(texts(), words(html=html, text="{{ money(totals.grand_minor) }}"))
    assert said.text == "€1,239.46\n"
    assert "1. Tea &lt;Assam&gt; &amp; Co" in said.html
    assert "https://shop.example/orders/" in said.html
    assert "<title>K7QM-2F9X-4</title>" in said.html, "in our layout"


def test_an_own_text_goes_before_ours_in_its_locale_and_its_children():
    house = texts()
    house.use(
        [words(locale="de", text="Hallo {{ name }}"), words("order_placed", "fr", text="oui")]
    )
    data = SAMPLES["order_confirmed"]
    assert house.render("order_confirmed", "de-AT", data).text == "Hallo Ada\n"
    assert house.render("order_confirmed", "en", data).text.startswith("Hello Ada")
    assert house.render("order_placed", "fr-FR", data).text == "oui\n"
    assert house.headline("order_confirmed", "de", data).subject == "K7QM-2F9X-4"
    house.use([])
    assert house.render("order_confirmed", "de", data).text.startswith("Guten Tag")


def test_an_own_text_that_does_not_fit_some_data_is_passed_over():
    house = texts()
    house.use([words(text="{{ lines[1].title }}", subject="{{ lines[1].title }}")])
    data = SAMPLES["order_confirmed"]
    assert house.render("order_confirmed", "en", data).text == "Cup “Käthe”\n"
    fewer = {**data, "lines": data["lines"][:1]}
    assert house.render("order_confirmed", "en", fewer).text.startswith("Hello Ada")
    assert house.headline("order_confirmed", "en", fewer).subject.startswith("Your order")


def test_hostile_names_stay_words():
    house = texts()
    house.use([words(subject="For {{ name }}")])
    said = house.render("order_confirmed", "en", {**SAMPLES["order_confirmed"], "name": HOSTILE})
    assert "<script>" not in said.html
    assert "\n" not in said.subject


def test_an_edited_text_is_kept_whole():
    one = words(text="a")
    assert msgspec.json.decode(msgspec.json.encode(one), type=Edited) == one
