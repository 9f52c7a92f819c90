"""What the forms about shipping, tax and coupons mean. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from merkato.admin.domain.goods import (
    Wrong,
    amounts,
    basis_points,
    instant,
    listed,
    whole,
    written,
)

LANGUAGES = ("en", "de")
GRAMS_MAX = 10**9


def method_body(form: Mapping[str, str]) -> dict[str, Any]:
    """Make the body of a shipping method. Raises Wrong."""
    titles = {
        name.removeprefix("title."): text
        for name, text in form.items()
        if name.startswith("title.") and text
    }
    if not titles:
        raise Wrong("Title: what customers read, in one language at least.")
    countries = [one.upper() for one in listed(form.get("countries", ""))]
    body: dict[str, Any] = {
        "titles": titles,
        "position": whole(form.get("position") or "100", "Place in lists", 0, 10_000),
        "countries": countries or None,
        "prices": amounts(form.get("prices", ""), "Prices"),
        "free_from": amounts(form.get("free_from", ""), "Free from"),
        "weight_steps": steps(form.get("weight_steps", "")),
        "days_min": whole(form.get("days_min") or "0", "Days at least", 0, 365),
        "days_max": whole(form.get("days_max") or "0", "Days at most", 0, 365),
        "tax_class": form.get("tax_class") or "standard",
    }
    if form.get("weight_max_g"):
        body["weight_max_g"] = whole(form["weight_max_g"], "Heaviest", 1, GRAMS_MAX)
    return body


def steps(text: str) -> list[dict[str, Any]]:
    """Read steps of weight, a line each: `2000: EUR 6.90, USD 8`. Raises Wrong."""
    found = []
    for line in text.splitlines():
        grams, colon, prices = line.partition(":")
        if not line.strip():
            continue
        grams = re.sub(r"\s*g$", "", grams.strip())
        if not colon:
            raise Wrong("Steps of weight: a line each, such as 2000: EUR 6.90.")
        one = {"from_g": whole(grams, "Steps of weight", 1, GRAMS_MAX)}
        found.append({**one, "prices": amounts(prices, "Steps of weight")})
    return found


def written_steps(given: Sequence[Mapping[str, Any]]) -> str:
    """Write steps of weight as `steps` reads them."""
    return "\n".join(f"{one['from_g']}: {written(one['prices'])}" for one in given)


def coupon_body(form: Mapping[str, str]) -> dict[str, Any]:
    """Make the body of a coupon. Raises Wrong."""
    body: dict[str, Any] = {
        "kind": form.get("kind", ""), "minimum": amounts(form.get("minimum", ""), "At least"),
    }  # fmt: skip
    match body["kind"]:
        case "percent":
            body["basis_points"] = basis_points(form.get("percent", ""))
        case "fixed":
            body["amounts"] = amounts(form.get("amounts", ""), "Amounts")
    for name, what in (("uses_max", "Uses in all"), ("uses_per_customer_max", "Uses each")):
        if form.get(name):
            body[name] = whole(form[name], what, 1)
    for name, what in (("valid_from", "Valid from"), ("valid_until", "Valid until")):
        if form.get(name):
            body[name] = instant(form[name], what)
    return body | ({"note": form["note"]} if form.get("note") else {})
