"""What users does by the clock: forget what ran out."""

from merkato.chassis.service import Every, Resources
from merkato.users.store import logins as store

FORGET_EVERY_S = 600.0


async def forget(resources: Resources) -> int:
    """Delete a bounded number of sessions, tokens and tries that no longer count."""
    async with resources.db.transaction() as tx:
        return (
            await store.prune_sessions(tx)
            + await store.prune_refresh_tokens(tx)
            + await store.prune_email_tokens(tx)
            + await store.prune_tries(tx)
        )


JOBS = (Every("forget", FORGET_EVERY_S, forget),)
