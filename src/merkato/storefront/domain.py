"""Rules of the pages: what a form means, and how far an order has come. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COUNTRIES = ("AT", "BE", "CH", "DE", "ES", "FR", "GB", "IE", "IT", "NL", "PL")
STEPS = ("placed", "confirmed", "shipped", "delivered")
QUANTITY_MAX = 1_000_000

# Cards of the stand-in processor, for development: name of the text, token, the number shown.
CARDS = (
    ("card.good", "pm_card_visa", "4242 4242 4242 4242"),
    ("card.declined", "pm_card_chargeDeclined", "4000 0000 0000 0002"),
    ("card.funds", "pm_card_chargeDeclinedInsufficientFunds", "4000 0000 0000 9995"),
    ("card.secure", "pm_card_threeDSecure2Required", "4000 0000 0000 3220"),
)


def quantity(text: str, otherwise: int = 1) -> int:
    """Read a number of pieces; what is no number counts as `otherwise`."""
    try:
        return max(0, min(QUANTITY_MAX, int(text)))
    except ValueError:
        return otherwise


def address(form: Mapping[str, str]) -> dict[str, Any]:
    """Make an address of a form's fields; what was left empty is left out."""
    lines = [form[name] for name in ("line1", "line2") if form.get(name)]
    made: dict[str, Any] = {
        "name": form.get("name", ""),
        "lines": lines or [""],
        "city": form.get("city", ""),
        "postal_code": form.get("postal_code", ""),
        "country": form.get("country", ""),
    }
    optional = ("company", "region", "phone", "tax_id")
    return made | {name: form[name] for name in optional if form.get(name)}


def address_fields(kept: Mapping[str, Any] | None) -> dict[str, str]:
    """Spread an address over the fields of a form."""
    if kept is None:
        return {}
    lines = [*kept["lines"], "", ""]
    fields = {name: kept.get(name) or "" for name in ("name", "company", "city", "postal_code")}
    fields |= {name: kept.get(name) or "" for name in ("region", "phone", "country", "tax_id")}
    return fields | {"line1": lines[0], "line2": lines[1]}


def missing(form: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Name the fields that have to be filled and are not."""
    return {name: "needed" for name in names if not form.get(name)}


FIELDS = {
    "/contact/email": "email", "/contact/name": "name", "/shipping_address/name": "name",
    "/shipping_address/lines/0": "line1", "/shipping_address/lines/1": "line2",
    "/shipping_address/lines": "line1", "/shipping_address/city": "city",
    "/shipping_address/postal_code": "postal_code", "/shipping_address/country": "country",
    "/shipping_address/phone": "phone", "/shipping_address/company": "company",
    "/shipping_method": "shipping_method", "/payment/token": "payment",
    "/email": "email", "/password": "password", "/name": "name", "/lines/0": "line1",
    "/lines/1": "line2", "/city": "city", "/postal_code": "postal_code", "/country": "country",
    "/phone": "phone", "/company": "company",
}  # fmt: skip


def field_errors(problem: Mapping[str, Any]) -> dict[str, str]:
    """Say by field what the API refused; what belongs to no field stands under an empty name."""
    found: dict[str, str] = {}
    for error in problem.get("errors") or ():
        found.setdefault(FIELDS.get(error.get("pointer", ""), ""), error.get("detail", ""))
    return found or {"": str(problem.get("detail", ""))}


def payment(choice: str) -> dict[str, str] | None:
    """Make a payment of a form's choice; None for none of ours."""
    if choice == "on_account":
        return {"method": "on_account"}
    if any(choice == token for _, token, _ in CARDS):
        return {"method": "card", "token": choice}
    return None


def progress(order: Mapping[str, Any]) -> int:
    """Tell how many of STEPS an order has reached."""
    reached = {"placed": 1, "confirmed": 2}.get(order["status"], 1)
    if order["status"] == "confirmed":
        reached = {"shipped": 3, "delivered": 4}.get(order["fulfilment_status"], reached)
    return reached


def is_waiting(order: Mapping[str, Any]) -> bool:
    """Tell whether an order may move at any moment, so that its page looks again."""
    return bool(order["status"] == "placed")


def can_cancel(order: Mapping[str, Any]) -> bool:
    """Tell whether the customer may end an order."""
    return bool(
        order["status"] in ("placed", "confirmed") and order["fulfilment_status"] == "unfulfilled"
    )


def returnable(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the lines of which pieces may be sent back, with how many."""
    found = []
    for line in order["lines"]:
        left = line.get("shipped", 0) - line.get("returned", 0)
        if left > 0:
            found.append({**line, "left": left})
    return found


def titles(lines: Sequence[Mapping[str, Any]], skus: Iterable[str]) -> list[str]:
    """Give the titles of some skus of a cart, as their customers know them."""
    named = {line["sku"]: line["title"] for line in lines}
    return [named.get(sku, sku) for sku in skus]
