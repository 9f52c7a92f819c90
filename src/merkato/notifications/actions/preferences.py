"""What people want to hear of, changed by themselves."""

from collections.abc import Iterable
from uuid import UUID

from merkato.chassis.db import Tx
from merkato.contracts.problem import PreconditionFailed, Validation
from merkato.notifications.domain.preferences import ALWAYS, DEFAULTS, Choices
from merkato.notifications.store import preferences as store

Choice = tuple[str, str, bool]  # kind, channel, wanted


async def choose(tx: Tx, user_id: UUID, chosen: Iterable[Choice], version: int) -> int:
    """Write choices over those of a version, those left out stay; give the new version.

    Raises Validation for what cannot be chosen, PreconditionFailed when they changed meanwhile.
    """
    _, known = await store.read(tx, user_id)
    choices = {kind: dict(by_channel) for kind, by_channel in known.items()}
    for n, (kind, channel, wanted) in enumerate(chosen):
        if channel not in DEFAULTS[kind]:
            raise Validation.at(f"/items/{n}/channel", f"Nothing of {kind} goes this way.")
        if (kind, channel) in ALWAYS and not wanted:
            detail = "What an order or an account needs is always told by mail."
            raise Validation.at(f"/items/{n}/wanted", detail)
        choices.setdefault(kind, {})[channel] = wanted
    changed = await store.put(tx, user_id, choices, version)
    if changed is None:
        raise PreconditionFailed("They were changed meanwhile; read them again.")
    return changed


async def read(tx: Tx, user_id: UUID) -> tuple[int, Choices]:
    """Give version and choices of a user."""
    return await store.read(tx, user_id)
