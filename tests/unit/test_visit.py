"""Sealed sessions, masked tokens of forms, and where a form may lead to."""

import pytest

from merkato.chassis.seal import Seal
from merkato.chassis.visit import Session, Sessions, is_masked, masked, new_csrf
from merkato.chassis.web import form_parts, local

SECRET = "s" * 40


def test_what_is_sealed_comes_back_and_nothing_else_does():
    seal = Seal(SECRET, "shop")
    text = seal.close(b"tokens")
    assert seal.open(text) == b"tokens"
    assert seal.close(b"tokens") != text
    for n in range(len(text)):
        changed = text[:n] + ("A" if text[n] != "A" else "B") + text[n + 1 :]
        assert seal.open(changed) in (None, b"tokens")  # the last character has spare bits
    assert [seal.open(other) for other in ("", "x", "é", "A" * 200, text[:-2])] == [None] * 5
    assert Seal(SECRET, "admin").open(text) is None
    assert Seal("t" * 40, "shop").open(text) is None


def test_a_session_survives_the_browser_and_a_foreign_one_is_new():
    sessions = Sessions(SECRET, "shop", None)
    session = Session(cart="c", orders={"o": "t"}, locale="de")
    assert sessions.open(sessions.close(session)) == session
    assert sessions.open("rubbish") == Session()
    assert sessions.open(None) == Session()


def test_logging_out_forgets_who_it_was():
    session = Session(access="a", refresh="r", cart="c", orders={"o": "t"}, theme="dark")
    session.log_out()
    assert session == Session(theme="dark")


def test_a_browser_remembers_the_newest_orders():
    session = Session()
    for n in range(30):
        session.remember_order(str(n), "t")
    assert list(session.orders) == [str(n) for n in range(20, 30)]


def test_a_forms_token_never_looks_the_same_and_is_checked():
    secret = new_csrf()
    assert masked(secret) != masked(secret)
    assert is_masked(masked(secret), secret)
    for wrong in ("", "zz", "00" * 32, masked(new_csrf()), masked(secret)[:-2]):
        assert not is_masked(wrong, secret)


@pytest.mark.parametrize(
    ("path", "leads"),
    [("/checkout", "/checkout"), ("/c/x?y=1", "/c/x?y=1"), (None, "/a"), ("", "/a"),
     ("//evil.example", "/a"), ("/\\evil.example", "/a"), ("https://evil.example", "/a"),
     ("/x\r\nSet-Cookie: a", "/a"), ("javascript:alert(1)", "/a")],
)  # fmt: skip
def test_a_form_leads_to_our_own_pages_only(path, leads):
    assert local(path, "/a") == leads


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="alt"\r\n\r\nA m\xc3\xbcg\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="m.png"\r\n\r\n\x00\r\n\xff\r\n'
    b"--x--\r\n"
)


def test_a_form_with_files_is_taken_apart():
    fields, files = form_parts(FORM, "x")
    assert fields == [("alt", "A müg")]
    assert (files["file"].name, files["file"].content) == ("m.png", b"\x00\r\n\xff")


@pytest.mark.parametrize(("body", "boundary"), [(FORM[:-8], "x"), (FORM, "y"), (b"", "x")])
def test_a_form_that_is_broken_off_is_refused(body, boundary):
    with pytest.raises(ValueError, match=r".+"):
        form_parts(body, boundary)
