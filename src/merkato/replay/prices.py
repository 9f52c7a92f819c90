"""Goods of a file, and their list prices: the day's most frequent one. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date

import msgspec

from merkato.replay.kinds import sku
from merkato.replay.rows import Row


class Good(msgspec.Struct, frozen=True):
    """Something sold in the file; `unit_minor` is its first list price, tax included."""

    sku: str
    title: str
    unit_minor: int


class PriceChange(msgspec.Struct, frozen=True):
    """From this day on a sku has another list price."""

    day: date
    sku: str
    unit_minor: int


class Prices:
    """Counts what is paid for each sku on each day, and how it is called."""

    def __init__(self) -> None:
        self._paid: dict[date, dict[str, dict[int, int]]] = defaultdict(dict)
        self._titles: dict[str, Counter[str]] = defaultdict(Counter)

    def note(self, row: Row, unit_minor: int) -> None:
        """Count a row that sells goods."""
        name = sku(row.code)
        paid = self._paid[row.at.date()].setdefault(name, {})
        paid[unit_minor] = paid.get(unit_minor, 0) + 1
        self._titles[name][row.description] += bool(row.description)

    def goods(self) -> dict[str, Good]:
        """Give every sku with its most frequent description and its first list price."""
        found: dict[str, Good] = {}
        for change in self._all():
            if change.sku not in found:
                [(title, _)] = self._titles[change.sku].most_common(1)
                found[change.sku] = Good(change.sku, title or change.sku, change.unit_minor)
        return found

    def changes(self) -> list[PriceChange]:
        """Give the changes of list prices after the first, in order of time."""
        seen: set[str] = set()
        found: list[PriceChange] = []
        for one in self._all():
            if one.sku in seen:
                found.append(one)
            seen.add(one.sku)
        return found

    def _all(self) -> Iterator[PriceChange]:
        """Go through all list prices; where several are as frequent, the one of before stays."""
        now: dict[str, int] = {}
        for day in sorted(self._paid):
            for name, paid in self._paid[day].items():
                most = max(paid.values())
                if paid.get(now.get(name, -1)) == most:
                    continue
                now[name] = next(price for price, times in paid.items() if times == most)
                yield PriceChange(day, name, now[name])
