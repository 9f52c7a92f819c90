"""What users does by the clock: forget what ran out."""

from merkato.chassis.service import Every, Resources
from merkato.users.actions import roles
from merkato.users.store import invitations
from merkato.users.store import logins as store

FORGET_EVERY_S = 600.0
TELL_ROLES_EVERY_S = 86_400.0


async def forget(resources: Resources) -> int:
    """Delete a bounded number of sessions, tokens and tries that no longer count."""
    async with resources.db.transaction() as tx:
        return (
            await store.prune_sessions(tx)
            + await store.prune_refresh_tokens(tx)
            + await store.prune_email_tokens(tx)
            + await store.prune_tries(tx)
            + await invitations.prune(tx)
        )


async def tell_roles(resources: Resources) -> int:
    """Publish the shop's own roles once more."""
    async with resources.db.transaction() as tx:
        await roles.tell_again(tx)
    return 0


JOBS = (
    Every("forget", FORGET_EVERY_S, forget),
    Every("tell-roles", TELL_ROLES_EVERY_S, tell_roles),
)
