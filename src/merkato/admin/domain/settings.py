"""What of the configuration staff may see: no secret, no address of an engine. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

# By part of the page: (setting in the file, what it means).
SHOWN = (
    ("The shop", (
        ("storefront.name", "its name on every page, and in mails"),
        ("notifications.shop_name", "its name in mails, where that is another"),
        ("public_url", "its address in links and mails"),
        ("environment", "development brings the stand-ins for cards and mail"),
        ("catalog.default_locale", "the language every product has its texts in"),
        ("catalog.default_currency", "the currency of prices when nobody says which"),
    )),
    ("Goods", (
        ("catalog.few_below", "fewer pieces than this are shown as few"),
        ("inventory.low_stock_threshold", "so few pieces are low, where a sku has no own number"),
    )),
    ("Orders and payments", (
        ("orders.pay_within_s", "seconds a customer has to pay"),
        ("orders.seller.name", "who sells, on invoices"),
        ("orders.seller.country", "the seller's country"),
        ("payments.capture", "when cards are charged"),
    )),
    ("Mail", (
        ("notifications.sender", "who mails come from"),
        ("notifications.staff", "who hears of what people must look at"),
        ("notifications.staff_locale", "the language of mails to staff"),
    )),
    ("Accounts", (
        ("users.staff_totp", "whether staff must have a second factor"),
        ("users.access_token_s", "seconds until a change of a role reaches everybody, at most"),
        ("users.refresh_token_s", "seconds a login lasts"),
        ("users.invitation_s", "seconds an invitation is good for"),
    )),
    ("Events", (("broker.log_days", "days the log of events is kept"),)),
)  # fmt: skip


class Setting(NamedTuple):
    """A setting: its name in the file, its value as people read it, what it means."""

    name: str
    value: str
    meaning: str


class Settings(NamedTuple):
    """What whoever runs the shop has configured, by part of the page."""

    parts: Sequence[tuple[str, Sequence[Setting]]]


def shown(config: Any) -> Settings:
    """Read what is shown of a configuration. Raises AttributeError for a name it does not have."""
    return Settings(
        [
            (part, [Setting(name, _text(_value(config, name)), why) for name, why in rows])
            for part, rows in SHOWN
        ]
    )


def _value(config: Any, name: str) -> Any:
    for step in name.split("."):
        config = getattr(config, step)
    return config


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None else str(value) or "–"
