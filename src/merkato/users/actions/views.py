"""What can be asked to change about saved views."""

from uuid import UUID

from merkato.chassis.db import Tx
from merkato.contracts.problem import StateConflict
from merkato.users.actions import accounts
from merkato.users.store import views as store

VIEWS_MAX = 100  # of one person


async def put(tx: Tx, user_id: UUID, of: str, name: str, query: str) -> None:
    """Keep a view of a list, in the place of one with its name. Raises StateConflict: too many."""
    await accounts.lock_own(tx, user_id)
    known = {(one.list, one.name) for one in await store.every(tx, user_id)}
    if (of, name) not in known and len(known) >= VIEWS_MAX:
        raise StateConflict(f"Nobody has more than {VIEWS_MAX} views; delete one first.")
    await store.put(tx, user_id, of, name, query)


async def delete(tx: Tx, user_id: UUID, of: str, name: str) -> None:
    """Forget a view. A repeat does nothing."""
    await store.delete(tx, user_id, of, name)
