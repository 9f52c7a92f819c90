"""Stripe's units of money beside ours, by the examples of its documentation."""

import pytest

from merkato.payments.providers.units import from_stripe, to_stripe


@pytest.mark.parametrize(
    ("currency", "minor", "stripes"),
    [("USD", 1_000, 1_000), ("JPY", 500, 500), ("ISK", 5, 500), ("UGX", 5, 500), ("MGA", 1_200, 12),
     ("KWD", 5_120, 5_120), ("RSD", 129_000, 129_000), ("HUF", 1_045, 1_045), ("EUR", 0, 0)],
)  # fmt: skip
def test_amounts_there_and_back(currency, minor, stripes):
    assert to_stripe(minor, currency) == stripes
    assert from_stripe(stripes, currency) == minor


@pytest.mark.parametrize(
    ("currency", "minor"), [("KWD", 5_123), ("BHD", 1), ("MGA", 1_250), ("MGA", 1)]
)
def test_what_stripe_cannot_take(currency, minor):
    assert to_stripe(minor, currency) is None


def test_what_cannot_be_noted_is_no_answer():
    with pytest.raises(ValueError, match="ISK"):
        from_stripe(550, "ISK")
