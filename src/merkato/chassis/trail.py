"""Note what staff and their programs do, in the transaction in which they do it.

An entry is a private event, so it exists if and only if the change does. Users hears it from all
services and keeps the one trail: append-only and chained by hashes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from structlog.contextvars import get_contextvars

from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.chassis.outbox import say
from merkato.chassis.tokens import Caller
from merkato.contracts.event import hidden_fields
from merkato.contracts.trail import NOTED, ActionNoted

COMMAND_LINE = Caller(kind="service", service="command-line")  # whoever has a shell on the machine
HIDDEN = "(hidden)"
TEXT_MAX_CHARS = 500  # a longer text is cut
SIDE_MAX_BYTES = 65_536  # before, or after; more is left out
# Fields that tell of a person or prove something, whatever they belong to.
HIDDEN_NAMES = frozenset({
    "address", "billing_address", "company", "contact", "customer_name", "email", "email_key",
    "hash", "key", "key_hash", "metadata", "note", "password", "password_hash", "phone",
    "postal_code", "recipient", "secret", "shipping_address", "tax_id", "token",
})  # fmt: skip

State = msgspec.Struct | Mapping[str, Any]


def note(
    tx: Tx,
    caller: Caller,
    action: str,
    subject: str,
    before: State | None = None,
    after: State | None = None,
) -> None:
    """Add an entry to the audit trail if and only if `tx` commits. See `entry`."""
    if made := entry(caller, action, subject, before, after):
        say(tx, made)


def entry(
    caller: Caller,
    action: str,
    subject: str,
    before: State | None = None,
    after: State | None = None,
) -> ActionNoted | None:
    """Make an entry of the audit trail, for who says it later; None when nothing was changed.

    `action` is ``<service>.<what was done>`` of the service that does it, `subject` is
    ``<kind>:<id>``. With both `before` and `after` only the fields that differ are kept, and an
    action that changed none leaves no entry. Personal and secret fields show that they changed,
    never their values.
    """
    old, new = _plain(before), _plain(after)
    if old is not None and new is not None:
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        if not changed:
            return None
        old, new = ({n: side[n] for n in side if n in changed} for side in (old, new))
    return NOTED[action.partition(".")[0]](
        entry_id=new_id(),
        at=datetime.now(UTC),
        actor=caller.principal,
        role=caller.role,
        action=action,
        subject=subject,
        request_id=get_contextvars().get("request_id"),
        before=_shown(old, before),
        after=_shown(new, after),
    )


def _plain(state: State | None) -> dict[str, Any] | None:
    """Turn a state into what JSON can say, so that equal things are equal."""
    return msgspec.json.decode(msgspec.json.encode(state), type=dict[str, Any] | None)


def _shown(side: dict[str, Any] | None, state: State | None) -> dict[str, Any] | None:
    if side is None:
        return None
    own = hidden_fields(type(state)) if isinstance(state, msgspec.Struct) else frozenset()
    shown: dict[str, Any] = without_secrets(side, HIDDEN_NAMES | own)
    size = len(msgspec.json.encode(shown))
    return shown if size <= SIDE_MAX_BYTES else {"left_out": f"{size} bytes: {', '.join(side)}"}


def without_secrets(value: Any, hidden: frozenset[str]) -> Any:
    """Give what JSON can say, with the values of fields of these names hidden."""
    match value:
        case dict():
            return {
                name: HIDDEN if name in hidden and one is not None else without_secrets(one, hidden)
                for name, one in value.items()
            }
        case list():
            return [without_secrets(one, hidden) for one in value]
        case str() if len(value) > TEXT_MAX_CHARS:
            return value[:TEXT_MAX_CHARS] + "…"
    return value
