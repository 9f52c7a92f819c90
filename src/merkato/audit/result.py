"""What an audit finds: for each law how much was checked, and what breaks it."""

from collections.abc import Iterable

import msgspec

LISTED_MAX = 10_000  # offences of one law that are kept with their ids; all are counted


class Offence(msgspec.Struct, frozen=True):
    """Something that breaks a law: an order, a sku, an event, a currency; and in what way."""

    id: str
    why: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one law."""

    law: str
    says: str
    checked: int = 0  # rows looked at
    count: int = 0  # offences, also those beyond the listed ones
    offences: tuple[Offence, ...] = ()
    note: str = ""  # why it was not checked, or what is worth knowing without being an offence
    warning: bool = False  # tells of something to look at, not of a broken promise

    @property
    def broken(self) -> bool:
        """Tell whether a promise is broken."""
        return self.count > 0 and not self.warning


class Tally:
    """The count of one law while it is being checked."""

    def __init__(self) -> None:
        self.checked = 0
        self.count = 0
        self.offences: dict[str, Offence] = {}
        self.notes: list[str] = []

    def blame(self, id: str, why: str) -> None:
        """Note an offence; the same id is counted once."""
        if id in self.offences:
            return
        self.count += 1
        if len(self.offences) < LISTED_MAX:
            self.offences[id] = Offence(id, why)

    def confirm(self, again: "Tally") -> None:
        """Keep only what another look has found too; what is beyond the list stays counted."""
        before = len(self.offences)
        known = again.offences
        self.offences = {id: known[id] for id in self.offences if id in known}
        self.count -= before - len(self.offences)

    def result(self, law: str, says: str, *, warning: bool = False) -> Result:
        """Give what was found, ids in order."""
        return Result(
            law=law,
            says=says,
            checked=self.checked,
            count=self.count,
            offences=tuple(sorted(self.offences.values(), key=lambda one: one.id)),
            note="; ".join(self.notes),
            warning=warning,
        )


def any_broken(results: Iterable[Result]) -> bool:
    """Tell whether a promise is broken."""
    return any(result.broken for result in results)
