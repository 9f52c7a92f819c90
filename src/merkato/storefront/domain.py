"""Rules of the pages: what a form means, and how far an order has come. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COUNTRIES = ("AT", "BE", "CH", "DE", "ES", "FR", "GB", "IE", "IT", "NL", "PL")
COUNTRY = "DE"  # offered first
ADDRESS = (
    "name", "company", "line1", "line2", "postal_code", "city", "region", "country", "phone",
)  # fmt: skip
STEPS = ("placed", "confirmed", "shipped", "delivered")
QUANTITY_MAX = 1_000_000
RETURN_REASONS = (
    "changed-mind", "damaged", "not-as-described", "wrong-item", "too-many", "too-late", "other",
)  # fmt: skip

# Cards of the stand-in processor, for development: name of the text, token, the number shown.
CARDS = (
    ("card.good", "pm_card_visa", "4242 4242 4242 4242"),
    ("card.declined", "pm_card_chargeDeclined", "4000 0000 0000 0002"),
    ("card.funds", "pm_card_chargeDeclinedInsufficientFunds", "4000 0000 0000 9995"),
    ("card.secure", "pm_card_threeDSecure2Required", "4000 0000 0000 3220"),
)


def not_by_card(asked: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the newest of a payment's operations was over what no card can be charged."""
    return bool(asked) and asked[-1].get("reason") == "amount-not-possible-by-card"


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


def changed_prices(
    lines: Iterable[Mapping[str, Any]], form: Mapping[str, str]
) -> list[tuple[Mapping[str, Any], int, int]]:
    """List the lines of a cart whose price is not as a form showed it: (line, old, new)."""
    found = []
    for line in lines:
        shown, now = form.get(f"price.{line['line_id']}", ""), line["unit_price_minor"]
        if shown.isdecimal() and now is not None and int(shown) != now:
            found.append((line, int(shown), now))
    return found


def stuck(cart: Mapping[str, Any]) -> bool:
    """Tell whether something in a cart has no price, so that it cannot be ordered as it is."""
    return any(line["unit_price_minor"] is None for line in cart["lines"])


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
        there = all(one["delivered_at"] for one in order["shipments"])
        far = {"shipped": 3, "delivered": 4, "partly_returned": 3 + there, "returned": 4}
        reached = far.get(order["fulfilment_status"], reached)
    return reached


def standing(order: Mapping[str, Any]) -> str:
    """Sum up in one word how an order of a list stands, its customer's turn first."""
    if order["status"] == "placed" and order["payment_status"] in ("declined", "action_required"):
        return "unpaid"
    sent = order["status"] == "confirmed" and order["fulfilment_status"] != "unfulfilled"
    return str(order["fulfilment_status"] if sent else order["status"])


def look_again_s(order: Mapping[str, Any], *, can_pay: bool) -> int:
    """Tell after how many seconds the page of an order looks again; 0: it stands still."""
    if order["status"] == "placed":
        return 0 if can_pay else 2
    moves = order["status"] == "confirmed" and order["fulfilment_status"] != "delivered"
    return 15 if moves or any(one["status"] == "requested" for one in order["returns"]) else 0


def stage(order: Mapping[str, Any], *, can_pay: bool, asked_back: bool) -> str:
    """Sum up what a customer sees of an order, to tell whether there is something new."""
    parts = [order["status"], order["payment_status"], order["fulfilment_status"]]
    parts += [str(order["totals"]["credited_minor"]), "pay" * can_pay, "bank" * asked_back]
    parts += [one["status"] for one in order["returns"]]
    parts += ["delivered" if one["delivered_at"] else "sent" for one in order["shipments"]]
    return ".".join(parts)


def can_cancel(order: Mapping[str, Any]) -> bool:
    """Tell whether the customer may end an order."""
    return bool(
        order["status"] in ("placed", "confirmed") and order["fulfilment_status"] == "unfulfilled"
    )


def returnable(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the lines of which pieces may be sent back, with how many."""
    found = []
    for line in order["lines"]:
        left = line.get("shipped", 0) - line.get("returned", 0) - line.get("announced", 0)
        if left > 0:
            found.append({**line, "left": left})
    return found


def by_kind(preferences: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Arrange what can be chosen: kind of message -> channel -> the choice."""
    kinds: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in preferences:
        kinds.setdefault(one["kind"], {})[one["channel"]] = one
    return kinds


def distinct(choices: Iterable[Sequence[str | None]]) -> list[str | None]:
    """Take the first of each choice that was not taken before; the first if all were."""
    taken: list[str | None] = []
    for some in choices:
        known = [one for one in some if one]
        taken.append(next((one for one in known if one not in taken), next(iter(known), None)))
    return taken


def titles(lines: Sequence[Mapping[str, Any]], skus: Iterable[str]) -> list[str]:
    """Give the titles of some skus of a cart, as their customers know them."""
    named = {line["sku"]: line["title"] for line in lines}
    return [named.get(sku, sku) for sku in skus]
