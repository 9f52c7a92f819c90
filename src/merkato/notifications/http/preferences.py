"""What a person wants to hear of, and over which channel."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, put

from merkato.chassis.db import Database
from merkato.chassis.http import USER, IfMatch, etag, expected_version
from merkato.chassis.tokens import Caller
from merkato.notifications.actions import preferences as actions
from merkato.notifications.domain.preferences import Preference, preferences
from merkato.notifications.store import preferences as store

PATH = "/api/v1/me/notification-preferences"


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Turn a kind of message on or off for a channel."""

    kind: Literal["order", "account", "marketing"]
    channel: Literal["email", "inbox", "sms", "push"]
    wanted: bool


class Choices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PUT /me/notification-preferences``; what is left out stays as it is."""

    items: Annotated[tuple[Choice, ...], msgspec.Meta(max_length=20)]


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be chosen over the channels there are. `fixed`: cannot be turned off."""

    items: list[Preference]


@get(PATH, policy=USER)
async def read_preferences(
    caller: Caller, db: Database, channels: frozenset[str]
) -> Response[Preferences]:
    """Give what the caller is told of, with its ETag.

    What an order or an account needs is always told by mail; marketing is off until asked for.
    """
    assert caller.user_id is not None  # the policy asks for a person
    async with db.reading() as tx:
        version, chosen = await store.read(tx, caller.user_id)
    shown = Preferences(items=preferences(chosen, channels))
    return Response(shown, headers={"ETag": etag(version), "Cache-Control": "no-store"})


@put(PATH, policy=USER)
async def choose(
    data: Choices, caller: Caller, db: Database, channels: frozenset[str], if_match: IfMatch = None
) -> Response[Preferences]:
    """Choose. Needs If-Match; counts for everything that happens from now on."""
    expected = expected_version(if_match)
    assert caller.user_id is not None  # the policy asks for a person
    chosen = [(one.kind, one.channel, one.wanted) for one in data.items]
    async with db.transaction() as tx:
        version = await actions.choose(tx, caller.user_id, chosen, expected)
        _, kept = await store.read(tx, caller.user_id)
    shown = Preferences(items=preferences(kept, channels))
    return Response(shown, headers={"ETag": etag(version), "Cache-Control": "no-store"})


ROUTES: tuple[Any, ...] = (read_preferences, choose)
