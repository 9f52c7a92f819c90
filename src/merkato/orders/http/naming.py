"""A caller's own name for a credit, by which an integration finds it again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.http import moment
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Forbidden, StateConflict
from merkato.contracts.values import Reference
from merkato.orders.store import credits as store


class Named(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the credit is called in the caller's books, and its time there (orders:place-for).

    What is left out is unset and not null, so that requests keep their fingerprints.
    """

    reference: Reference | msgspec.UnsetType | None = msgspec.UNSET
    reference_time: Annotated[datetime, msgspec.Meta(tz=True)] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )


@asynccontextmanager
async def naming(tx: Tx, caller: Caller, order_id: UUID, named: Named) -> AsyncIterator[None]:
    """Give the credit that comes about inside its name.

    Raises Forbidden, StateConflict when another credit has the name, or when none comes about.
    """
    reference, time = named.reference or None, named.reference_time or None
    if reference is None and time is None:
        yield
        return
    if not caller.may("orders:place-for"):
        raise Forbidden("Names of credits take orders:place-for.")
    at = moment("reference_time", time)
    if reference is not None and not await store.claim(tx, reference):
        raise StateConflict("Another credit has this reference.", reference=reference)
    yield
    if not await store.name(tx, order_id, reference, at):
        raise StateConflict("Nothing was credited that could have this reference.")
