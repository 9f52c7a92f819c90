"""Rules of accounts: addresses, passwords, pauses, and refresh tokens that come back."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merkato.contracts.problem import RateLimited, StateConflict, Validation
from merkato.users.domain.passwords import check_password
from merkato.users.domain.people import check_admin_remains, email_key
from merkato.users.domain.sessions import RefreshToken, judge_refresh
from merkato.users.domain.tries import Tries, try_login, try_mail

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.org", "ada@example.org"),
        ("ada@EXAMPLE.org.", "ada@example.org"),
        ("ａｄａ@example.org", "ada@example.org"),  # full width
        ("ada＠example.org", "ada@example.org"),  # full width at sign
        ("straße@example.org", "STRASSE@example.org"),
        ("ﬁona@example.org", "Fiona@example.org"),  # ligature
        ("zoe\u0308@example.org", "zo\u00eb@example.org"),  # combining diaeresis
        ("ada@Bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@example。org", "ada@example.org"),  # ideographic full stop
    ],
)
def test_spellings_of_one_mailbox_have_one_key(one, other):
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    "wrong",
    [
        "@example.org", "ada@", "a＠b@example.org", "ada@exa mple.org", "a\u200bda@example.org",
        "ada@example..org", "ada@-\u00ad", "ada@" + "x" * 64 + ".org", "ada@exa<b>.org",
        "a\u202eda@example.org", "ada\u00a0x@example.org", "ada",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(Validation):
        email_key(wrong)


@given(st.text(max_size=40).map(lambda text: f"a{text}@example.org"))
def test_a_key_is_its_own_key(email):
    try:
        key = email_key(email)
    except Validation:
        return
    assert email_key(key) == key


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text):
    try:
        email_key(text)
    except Validation:
        return


def check(password, email="ada.lovelace@example.org"):
    return check_password(password, email, "Corner Shop")


@pytest.mark.parametrize(
    "good",
    [
        "seven plain wooden boats",
        "k7#Vq9!zR2$mW5x",  # 15
        "only lower case words here",
        "8391 7046 2258 9137",
        "日本語のパスワードは長くてよい物",
        "🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤🦆",
        "a password may hold that very word",
        "zq" + "x7y8w9v0 u1t2s3r4" * 7,  # 121
        "my dog's name is not Corner Shop",
    ],
)
def test_good_passwords_are_taken_whole(good):
    assert len(good) in range(15, 129)
    assert check(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "k7#Vq9!zR2$mW5",  # 14
        "",
        "x7#" * 43,  # 129
        "password123456!",
        "P@ssw0rd12345678",
        "passwordpassword",
        "123456789012345",
        "1234567890123456",
        "aaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "abababababababab1",
        "qwertyuiopasdfghjkl",
        "qwertyuiop123456",
        "correct horse battery staple",
        "merkato-merkato-1",
        "Corner Shop Corner Shop",
        "cornershop123456",
        "ada.lovelace12345",
        "ada.lovelace@example.org",
        "adalovelaceadalovelace",
        "welcome to merkato",
        "iloveyouiloveyou!",
    ],
)
def test_bad_passwords_are_refused(bad):
    with pytest.raises(Validation) as refusal:
        check(bad)
    assert refusal.value.members["errors"][0]["pointer"] == "/password"


def test_no_password_is_cut():
    long = "zq" + "x7y8w9v0 u1t2s3r4" * 7
    assert check(long + "a") != check(long + "b")
    assert len(check("é" * 5 + "seven plain wooden boats" * 3)) == 77


def test_the_form_of_letters_does_not_matter():
    assert check("cafe\u0301 seven plain boats") == check("caf\u00e9 seven plain boats")


def attempts(count, pause_s=0):
    """Try to log in `count` times, always wrong; wait out pauses. Gives all pauses in seconds."""
    tries, now, pauses = Tries(count=0, last_at=NOW), NOW, []
    for _ in range(count):
        tries = try_login(tries, now, 10, WINDOW)
        pause = (tries.paused_until or now) - now
        pauses.append(pause.total_seconds())
        now += pause
    return pauses


def test_ten_failures_are_free_of_pauses_and_then_pauses_double():
    assert attempts(15) == [0] * 9 + [30, 60, 120, 240, 480, 900]


def test_no_hour_holds_more_than_a_hundred_tries():
    moments, now, tries = [], NOW, Tries(count=0, last_at=NOW)
    while now < NOW + timedelta(hours=6):
        tries = try_login(tries, now, 10, WINDOW)
        moments.append(now)
        now = tries.paused_until or now
    most = max(sum(0 <= (m - start).total_seconds() < 3600 for m in moments) for start in moments)
    assert 20 < most < 100


def test_a_pause_refuses_and_says_how_long():
    paused = Tries(count=10, last_at=NOW, paused_until=NOW + timedelta(seconds=30))
    with pytest.raises(RateLimited) as refusal:
        try_login(paused, NOW + timedelta(seconds=10), 10, WINDOW)
    assert 20 <= int(refusal.value.headers["Retry-After"]) <= 21
    assert try_login(paused, NOW + timedelta(seconds=30), 10, WINDOW).count == 11
    assert try_login(paused, NOW + WINDOW, 10, WINDOW).count == 1


def test_five_mails_an_hour_and_wishing_for_more_does_not_put_that_off():
    tries, sent, now = Tries(count=0, last_at=NOW), 0, NOW
    for _ in range(3 * 60):  # a wish a minute for three hours
        counted = try_mail(tries, now)
        if counted:
            tries, sent = counted, sent + 1
        now += timedelta(minutes=1)
    assert sent == 15


def token(**changes):
    whole = {
        "session_id": uuid4(), "user_id": uuid4(), "seed": b"", "expires_at": NOW + WINDOW,
        "used_at": None, "session_ended": False, "successor_used": False, **changes,
    }  # fmt: skip
    return RefreshToken(**whole)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "rotate"),
        ({"used_at": NOW - timedelta(seconds=5)}, "repeat"),
        ({"used_at": NOW - timedelta(seconds=6)}, "reused"),
        ({"used_at": NOW - timedelta(seconds=1), "successor_used": True}, "reused"),
        ({"expires_at": NOW}, "refused"),
        ({"session_ended": True}, "refused"),
        ({"session_ended": True, "used_at": NOW - timedelta(days=1)}, "refused"),
    ],
)
def test_refresh_tokens_are_judged(changes, verdict):
    assert judge_refresh(token(**changes), NOW, timedelta(seconds=5)) == verdict


def test_the_last_admin_stays():
    one, other = UUID(int=1), UUID(int=2)
    check_admin_remains({one, other}, one)
    with pytest.raises(StateConflict):
        check_admin_remains({one}, one)
