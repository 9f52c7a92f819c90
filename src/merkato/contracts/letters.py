"""What the broker may ask every service about the events it has set aside."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

Action = Literal["retry", "discard"]
State = Literal["waiting", "dead", "done", "discarded"]
IDS_MAX = 1_000


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a service could not handle, or could not say, without its contents."""

    event_id: UUID
    type: str
    key: str
    state: State
    reason: str  # what the handler said, without personal and secret values
    tries: int
    set_aside_at: datetime
    next_try_at: datetime | None
    ended_at: datetime | None
    acted_by: str | None  # who retried, edited or discarded it last
    cause: UUID | None  # the dead letter it was edited from
    replaced_by: UUID | None  # and what an edited one became
    died_at: datetime | None = None  # when it was left to people last
    said: bool = False  # the service says it, and the bus refused it; it cannot be edited


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """A letter opened: its event, but for personal and secret fields, which are named only."""

    letter: Letter
    source: str | None
    time: datetime | None
    data: dict[str, Any] | None  # None: it cannot be read
    hidden: list[str]
    behind: int  # later events of its key that wait for it


class Letters(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a service's list, newest first."""

    items: list[Letter]
    at: datetime | None = None  # by the clock that says when letters died


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf the broker asks."""

    kind: str
    id: UUID | None
    role: str | None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters: all of these, where something is named."""

    ids: Annotated[list[UUID], msgspec.Meta(max_length=IDS_MAX)] | None = None
    type: str | None = None
    key: str | None = None
    state: State | None = None  # None: those that are open, waiting or dead


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Retry or discard letters."""

    action: Action
    filter: Filter
    actor: Actor


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """How many letters it concerned."""

    count: int


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """Put an event in a letter's place: the same with other data (a merge patch, RFC 7396)."""

    event_id: UUID  # of the new event; the same again changes nothing
    patch: dict[str, Any]
    actor: Actor


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """The event that took the place of a letter."""

    event_id: UUID
