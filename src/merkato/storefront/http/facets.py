"""What can be chosen beside a list, how many products have it, and what was chosen."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from merkato.storefront.templates import words

VALUES_SHOWN = 8  # of an attribute; the others are behind "more"

Kept = Sequence[tuple[str, str]]  # the query of a page without its place in the list


def attributes(facets: Mapping[str, Any], kept: Kept, locale: str) -> list[dict[str, Any]]:
    """Shape the counts of attributes; what was chosen is among them even if nothing has it now."""
    shaped = []
    for key, counts in (facets.get("attributes") or {}).items():
        name = f"attr.{key}"
        counted = {_plain(row["value"]): row["count"] for row in counts}
        counted |= {v: 0 for n, v in kept if n == name and v not in counted}
        values = [
            {
                "value": value, "label": words.measured(key, value, locale)[1], "count": count,
                "chosen": (name, value) in kept,
            }
            for value, count in counted.items()
        ]  # fmt: skip
        if len(values) > 1 or any(value["chosen"] for value in values):
            first = [one for n, one in enumerate(values) if n < VALUES_SHOWN or one["chosen"]]
            more = [one for one in values if one not in first]
            title = words.measured(key, "", locale)[0]
            shaped.append({"key": key, "name": title, "first": first, "more": more})
    return shaped


def chosen(kept: Kept, action: str, locale: str) -> list[dict[str, str]]:
    """List the filters that were chosen, each with the address of the page without it."""
    found = []
    for name, value in kept:
        if name.startswith("attr.") or name in ("in_stock", "min", "max"):
            rest = urlencode([pair for pair in kept if pair != (name, value)])
            key = name.removeprefix("attr.")
            title, text = words.measured(key, value, locale)
            found.append({
                "kind": name if key == name else "attr", "name": title, "value": text,
                "url": f"{action}?{rest}" if rest else action,
            })  # fmt: skip
    return found


def below(
    facets: Mapping[str, Any], children: Sequence[Mapping[str, Any]] | None
) -> list[dict[str, Any]]:
    """List the categories to go on to, with counts where there are some.

    `children` are those of the category that is shown; without one, those at the top with goods.
    """
    counts = facets.get("category") or []
    if children is None:
        return [one for one in counts if one["parent_id"] is None and one["count"]]
    known = {one["id"]: one["count"] for one in counts}
    shown = [{**one, "count": known.get(one["id"], 0 if counts else None)} for one in children]
    return [one for one in shown if one["count"] != 0]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
