"""The tables of the back office as data, and what its forms mean. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from merkato.contracts.permissions import ROLES


class Column(msgspec.Struct, frozen=True):
    """A column: the member of an item it shows, its heading, and how it is written.

    kinds: text, count, money (minor units of the item's currency), time, state, flag, words (of a
    program, such as on_account), contact (a name, or else an address), order (an id, shown as its
    number), worth (of a coupon).
    """

    name: str
    title: str
    kind: str = "text"


class Filter(msgspec.Struct, frozen=True):
    """A filter of a list, by a parameter of its route; with `choices` a menu.

    kinds: text, day, many (several of the choices at once), id (shown while it is on only).
    """

    name: str
    title: str
    choices: tuple[str, ...] = ()
    kind: str = "text"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A list of the API as a page; one without a path has a page of its own."""

    slug: str
    title: str
    path: str = ""
    columns: tuple[Column, ...] = ()
    filters: tuple[Filter, ...] = ()
    link: str = ""  # where an item leads; {member} is filled in
    new: str = ""  # where a new one is made
    hint: str = ""  # said while there is nothing
    shortcuts: tuple[tuple[str, str], ...] = ()  # (title, query) of what is looked at most


def _c(name: str, title: str, kind: str = "text") -> Column:
    return Column(name, title, kind)


ORDER_STATUS = ("placed", "confirmed", "cancelled")
PAID = (
    "due", "action_required", "declined", "authorised", "partly_paid", "paid", "voided",
    "partly_refunded", "refunded", "refund_failed",
)  # fmt: skip
FAR = ("unfulfilled", "partial", "shipped", "delivered", "partly_returned", "returned")
TO_SHIP = "status=confirmed&fulfilment_status=unfulfilled&fulfilment_status=partial"
PAYMENT_STATES = (
    "due", "sent", "unknown", "action_required", "declined", "authorised", "captured", "voided",
    "mismatch",
)  # fmt: skip
REFUND_STATES = ("intent", "sent", "unknown", "succeeded", "failed", "mismatch")

TABLES = {
    one.slug: one
    for one in (
        Table(
            slug="orders", title="Orders", path="/api/v1/orders", link="/admin/orders/{id}",
            columns=(
                _c("number", "Order"), _c("contact", "Customer", "contact"),
                _c("placed_at", "Placed", "time"),
                _c("status", "Status", "state"), _c("payment_status", "Payment", "state"),
                _c("fulfilment_status", "Shipping", "state"), _c("grand_minor", "Total", "money"),
            ),
            filters=(Filter("q", "Order number or e-mail"),
                     Filter("status", "Status", ORDER_STATUS),
                     Filter("payment_status", "Payment", PAID),
                     Filter("fulfilment_status", "Shipping", FAR, kind="many"),
                     Filter("since", "Placed from", kind="day"),
                     Filter("until", "Placed before", kind="day"),
                     Filter("reference", "Reference"),
                     Filter("customer", "Customer id", kind="id")),
            shortcuts=(("All", ""), ("To ship", TO_SHIP), ("Not paid yet", "status=placed"),
                   ("Payment declined", "status=placed&payment_status=declined"),
                   ("Refund failed", "payment_status=refund_failed"),
                   ("Sent", "fulfilment_status=shipped"),
                   ("Came back", "fulfilment_status=returned&fulfilment_status=partly_returned")),
            hint="Orders appear here as soon as somebody buys.",
        ),
        Table(
            slug="returns", title="Returns", path="/api/v1/returns",
            link="/admin/orders/{order_id}#returns",
            columns=(
                _c("number", "Order"), _c("requested_at", "Asked", "time"),
                _c("status", "Status", "state"), _c("credited_minor", "Credited", "money"),
                _c("note", "Note"),
            ),
            filters=(Filter("status", "Status", ("requested", "received", "rejected")),
                     Filter("since", "Asked from", kind="day")),
            shortcuts=(("All", ""), ("To look at", "status=requested")),
            hint="Nobody wants to send anything back.",
        ),
        Table(slug="products", title="Products"),
        Table(slug="categories", title="Categories"),
        Table(slug="imports", title="Import and export"),
        Table(slug="price-lists", title="Price lists"),
        Table(slug="stock", title="Stock"),
        Table(
            slug="customers", title="Customers", path="/api/v1/users",
            link="/admin/customers/{id}",
            columns=(
                _c("email", "E-mail"), _c("name", "Name"), _c("role", "Role", "state"),
                _c("registered_at", "Since", "time"), _c("blocked", "Blocked", "flag"),
            ),
            filters=(Filter("q", "E-mail or name"),
                     Filter("role", "Role", tuple(ROLES))),
            hint="Nobody has an account.",
        ),
        Table(
            slug="payments", title="Payments", path="/api/v1/payments",
            link="/admin/orders/{order_id}#payment",
            columns=(
                _c("order_id", "Order", "order"), _c("created_at", "Since", "time"),
                _c("method", "Method", "words"), _c("state", "State", "state"),
                _c("amount_minor", "Amount", "money"), _c("captured_minor", "Taken", "money"),
                _c("refunded_minor", "Sent back", "money"),
            ),
            filters=(Filter("state", "State", PAYMENT_STATES),
                     Filter("order_id", "Order id", kind="id"),
                     Filter("since", "Since", kind="day")),
            shortcuts=(("All", ""), ("Unknown", "state=unknown"),
                       ("Wrong amount", "state=mismatch"),
                       ("Promised, not taken", "state=authorised"), ("Declined", "state=declined")),
            hint="Nothing was paid.",
        ),
        Table(
            slug="refunds", title="Refunds", path="/api/v1/refunds",
            link="/admin/orders/{order_id}#payment",
            columns=(
                _c("order_id", "Order", "order"), _c("created_at", "Wanted", "time"),
                _c("method", "Method", "words"), _c("state", "State", "state"),
                _c("amount_minor", "Amount", "money"), _c("reason", "Why", "words"),
            ),
            filters=(Filter("state", "State", REFUND_STATES),),
            shortcuts=(("All", ""), ("Failed", "state=failed"), ("Unknown", "state=unknown")),
            hint="Nothing was sent back.",
        ),
        Table(
            slug="ledger", title="Ledger", path="/api/v1/ledger",
            link="/admin/orders/{order_id}#payment",
            columns=(
                _c("order_id", "Order", "order"), _c("posted_at", "When", "time"),
                _c("account", "Account"), _c("amount_minor", "Amount", "money"),
            ),
            filters=(Filter("account", "Account", ("receivable", "customer", "processor", "bank")),
                     Filter("order_id", "Order id", kind="id")),
            hint="No money has moved.",
        ),
        Table(
            slug="notifications", title="Notifications", path="/api/v1/notifications",
            link="/admin/notifications/{id}",
            columns=(
                _c("created_at", "When", "time"), _c("template", "What", "words"),
                _c("channel", "By"), _c("recipient", "To"), _c("state", "State", "state"),
                _c("reason", "Why"),
            ),
            filters=(Filter("recipient", "To"),
                     Filter("state", "State", ("queued", "sent", "failed")),
                     Filter("channel", "By", ("email", "inbox", "sms", "push")),
                     Filter("kind", "About", ("order", "account", "staff", "marketing")),
                     Filter("template", "What")),
            shortcuts=(("All", ""), ("Mails", "channel=email"), ("Failed", "state=failed"),
                   ("Came back", "bounced=true")),
            hint="Nothing was sent.",
        ),
        Table(
            slug="coupons", title="Coupons", path="/api/v1/coupons",
            link="/admin/coupons/{code}", new="/admin/coupons/new",
            columns=(
                _c("code", "Code"), _c("kind", "Takes off", "worth"),
                _c("valid_until", "Until", "time"),
                _c("uses", "Used", "count"), _c("uses_max", "At most", "count"), _c("note", "Note"),
            ),
            hint="Make a coupon to give a discount.",
        ),
        Table(slug="shipping", title="Shipping methods"),
        Table(slug="taxes", title="Tax rates"),
        Table(slug="settings", title="Settings"),
        Table(slug="reports", title="Reports"),
        Table(slug="texts", title="Texts of mails"),
        Table(slug="staff", title="Staff"),
        Table(slug="roles", title="Roles"),
        Table(slug="live", title="Live events"),
        Table(slug="events", title="Event log"),
        Table(slug="topics", title="Topics"),
        Table(slug="webhooks", title="Webhooks"),
        Table(slug="dead-letters", title="Dead letters"),
        Table(slug="audit-trail", title="Audit trail"),
        Table(slug="api-keys", title="API keys"),
    )
}  # fmt: skip

MENU = (
    ("Sell", ("orders", "returns", "customers", "coupons")),
    ("Goods", ("products", "categories", "stock", "price-lists", "imports")),
    ("Money", ("payments", "refunds", "ledger", "reports")),
    ("Tell", ("notifications", "texts")),
    ("Events", ("live", "events", "topics", "webhooks", "dead-letters")),
    ("People", ("staff", "roles", "api-keys", "audit-trail")),
    ("House", ("shipping", "taxes", "settings")),
)


def pieces(form: Mapping[str, str]) -> list[dict[str, int]]:
    """Read how many pieces of which lines a form names; none of what is left empty."""
    found = []
    for name, text in form.items():
        line = name.removeprefix("line.")
        if name.startswith("line.") and _counts(line) and _counts(text) and int(text) > 0:
            found.append({"line_no": int(line), "quantity": int(text)})
    return found


def _counts(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def shippable(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the lines of which pieces can be shipped, with how many."""
    if order["status"] != "confirmed":
        return []
    left = [
        {**line, "left": line["quantity"] - line["cancelled"] - line["shipped"]}
        for line in order["lines"]
    ]
    return [line for line in left if line["left"] > 0]


def returnable(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the lines of which pieces may come back, with how many."""
    left = [
        {**line, "left": line["shipped"] - line["returned"] - line["announced"]}
        for line in order["lines"]
    ]
    return [line for line in left if line["left"] > 0]


def owed(order: Mapping[str, Any]) -> int:
    """Give what is left to credit of an order, in minor units."""
    totals = order["totals"]
    return int(totals["grand_minor"] - totals["credited_minor"])
