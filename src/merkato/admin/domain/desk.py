"""What the pages of orders, people and events work out of what the API says. Pure."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import unescape
from typing import Any

import msgspec

from merkato.admin.domain.goods import Wrong

# Permissions by what they are about, in the order of the house.
GROUPS = (
    ("Orders", ("orders:", "reports:")),
    ("Goods", ("catalog:", "inventory:")),
    ("Money", ("payments:",)),
    ("People", ("customers:", "users:", "roles:", "api-keys:", "audit-trail:")),
    ("Messages", ("notifications:",)),
    ("Events", ("events:", "topics:", "webhooks:", "dead-letters:")),
)
PAGES = {
    "order": "/admin/orders/", "product": "/admin/products/", "user": "/admin/customers/",
    "sku": "/admin/stock/", "coupon": "/admin/coupons/", "webhook": "/admin/webhooks/",
    "import": "/admin/imports/", "role": "/admin/roles/", "category": "/admin/categories/",
}  # fmt: skip
STYLE = re.compile(r"\sstyle\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)
STYLES = re.compile(r"<style[^>]*>(.*?)</style>", re.I | re.S)
SLOW = 20  # one answer in so many is slower than what is called slow


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar of a chart: its length in percent of the longest, and what it says."""

    label: str
    value: int
    share: int
    said: str  # the value as people write it


def bars(rows: Iterable[tuple[str, int, str]]) -> list[Bar]:
    """Work out the bars of (label, value, value as written)."""
    known = list(rows)
    top = max((value for _, value, _ in known), default=0) or 1
    return [
        Bar(label=label, value=value, share=max(0, value) * 100 // top, said=said)
        for label, value, said in known
    ]


def per_cart(ordered: int, carts: int) -> str:
    """Say how many of the carts were ordered."""
    return f"{(ordered * 200 + carts) // (2 * carts)} %" if carts else "–"


def speeds(answers: Iterable[tuple[str, int]]) -> list[tuple[str, int, int, int]]:
    """Sum up (path, milliseconds) of answers by what they were about.

    Gives (what, how many, the median, what nineteen of twenty took at most), slowest first.
    """
    by_what: dict[str, list[int]] = {}
    for path, took_ms in answers:
        parts = path.partition("?")[0].split("/")
        by_what.setdefault(parts[3] if len(parts) > 3 else path, []).append(took_ms)
    found = []
    for what, times in by_what.items():
        times.sort()
        count = len(times)
        slow = times[min(count - 1, count * (SLOW - 1) // SLOW)]
        found.append((what, count, times[count // 2], slow))
    return sorted(found, key=lambda one: -one[3])


def grouped(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Group permissions by what they are about; what nobody foresaw comes last."""
    left = sorted(names)
    groups = []
    for title, prefixes in GROUPS:
        own = [name for name in left if name.startswith(prefixes)]
        left = [name for name in left if name not in own]
        groups.append((title, own))
    return [(title, own) for title, own in [*groups, ("Other", left)] if own]


def differences(entry: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """List the fields of an entry of the trail: (name, before, after)."""
    before, after = entry.get("before") or {}, entry.get("after") or {}
    return [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]


def page_of(subject: str) -> tuple[str, str]:
    """Give where things as the subject (`order:<id>`) have pages, "" if nowhere, and its id."""
    kind, _, name = subject.partition(":")
    return PAGES.get(kind, ""), name


def credit_wish(form: Mapping[str, str], pieces: Sequence[dict[str, int]]) -> dict[str, Any]:
    """Make of a form what POST /orders/{id}/credits/preview is asked. Raises Wrong."""
    kind = form.get("kind", "")
    wish: dict[str, Any] = {"kind": "return" if kind == "receipt" else kind}
    if kind == "goodwill":
        return wish | {"amount_minor": amount_minor(form)}
    if form.get("shipping"):
        wish["shipping"] = form["shipping"]
    if kind == "receipt":
        return wish | {"return_id": form.get("return_id", "")}
    if pieces:
        wish["lines"] = list(pieces)
    elif kind == "return" or form.get("part"):
        raise Wrong("Say how many pieces of what.")
    return wish


def amount_minor(form: Mapping[str, str]) -> int:
    """Read the amount that a page of ours put into its form. Raises Wrong."""
    text = form.get("amount_minor", "")
    if not re.fullmatch(r"[0-9]{1,13}", text) or not int(text):
        raise Wrong("Amount: more than nothing.")
    return int(text)


def allowed_styles(html: str) -> str:
    """Give the sources of a Content-Security-Policy that allow a page's own styles, no others.

    Each is named by its hash (CSP 3, 6.7.3.3), so nothing unsafe is allowed.
    """
    written = {unescape(one or other) for one, other in STYLE.findall(html)}
    hashes = [_hash(text) for text in sorted(written)]
    blocks = [_hash(text) for text in STYLES.findall(html)]
    return " ".join([*(["'unsafe-hashes'"] if hashes else []), *hashes, *blocks])


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def edited(text: str) -> dict[str, Any]:
    """Read a JSON object that people typed. Raises Wrong."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Wrong(f"This is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Wrong("This has to be a JSON object, in braces.")
    return found


def patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Give the merge patch (RFC 7396) that makes of one object the other."""
    change: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if name not in before or old != value:
            is_deep = isinstance(old, dict) and isinstance(value, dict)
            change[name] = patch(dict(old or {}), value) if is_deep else value
    return change
