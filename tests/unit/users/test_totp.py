"""Codes by time, against the vectors of RFC 6238 and RFC 4226, and codes for people."""

from base64 import b32decode
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from merkato.users.actions.second_factors import otpauth_url
from merkato.users.domain import totp

SECRET = b"12345678901234567890"  # of both RFCs


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"),
        (1234567890, "89005924"), (2000000000, "69279037"), (20000000000, "65353130"),
    ],
)  # fmt: skip
def test_codes_of_rfc_6238(seconds, code):
    assert totp.code_at(SECRET, seconds // totp.STEP_S, digits=8) == code


def test_codes_of_rfc_4226():
    codes = [
        "755224",
        "287082",
        "359152",
        "969429",
        "338314",
        "254676",
        "287922",
        "162583",
        "399871",
        "520489",
    ]
    assert [totp.code_at(SECRET, n) for n in range(10)] == codes


def at(step, second=0):
    return datetime.fromtimestamp(step * totp.STEP_S + second, UTC)


def test_a_clock_may_differ_by_a_step_and_a_code_counts_once():
    code = totp.code_at(SECRET, 1_000)
    for step in (999, 1_000, 1_001):
        assert totp.matching_step(SECRET, code, at(step, 29), 0) == 1_000
    for step in (998, 1_002):
        assert totp.matching_step(SECRET, code, at(step), 0) is None
    assert totp.matching_step(SECRET, code, at(1_000), 1_000) is None
    assert totp.matching_step(SECRET, totp.code_at(SECRET, 999), at(1_000), 1_000) is None
    assert totp.matching_step(SECRET, totp.code_at(SECRET, 1_001), at(1_000), 1_000) == 1_001
    for wrong in ("", "000000", code + "0", "½" * 6, code[:-1]):
        assert totp.matching_step(SECRET, wrong, at(1_000), 0) is None


def test_what_an_authenticator_reads():
    parts = urlsplit(otpauth_url(SECRET, "Ada & Sons", "ada@example.org"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Ada & Sons:ada@example.org"
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert asked["issuer"] == "Ada & Sons"
    assert b32decode(asked["secret"]) == SECRET


def test_recovery_codes_may_be_typed_in_any_way():
    code = totp.recovery_code(bytes(range(10)))
    assert code == "aaaq-eaye-auda-ocaj"
    assert totp.plain_code(f" {code.upper().replace('-', ' ')} ") == "aaaqeayeaudaocaj"
