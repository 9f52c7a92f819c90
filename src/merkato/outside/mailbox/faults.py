"""What tests may break in the mailbox on purpose. In memory: a restart repairs everything."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A fault for the next `times` mails, to one recipient if `to` is given.

    `refuse` answers `code`: to RCPT if `to` is given, else after DATA. `lose` closes the connection
    after DATA without keeping the mail, `silence` after keeping it: the client cannot tell.
    """

    fault: Literal["refuse", "lose", "silence"]
    code: Annotated[int, Meta(ge=400, le=599)] = 451
    to: str | None = None
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Faults:
    """The faults to come, in the order of their planning."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def at_recipient(self, address: str) -> Fault | None:
        """Give the refusal planned for this recipient, and count it off."""
        for fault in self.planned:
            if fault.fault == "refuse" and fault.to and fault.to.lower() == address.lower():
                return self._use(fault)
        return None

    def at_data(self, recipients: list[str]) -> Fault | None:
        """Give the fault planned for this mail, and count it off."""
        addresses = {address.lower() for address in recipients}
        for fault in self.planned:
            at_all = fault.to is None
            if at_all or (fault.fault != "refuse" and (fault.to or "").lower() in addresses):
                return self._use(fault)
        return None

    def _use(self, fault: Fault) -> Fault:
        fault.times -= 1
        if fault.times <= 0:
            self.planned.remove(fault)
        return fault
