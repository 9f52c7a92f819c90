"""Dead letters of all services in one place: found, looked into, retried, edited, discarded.

The services keep them; the broker asks each, and says which did not answer. What is done is done
in the service, in one transaction with its entry in the audit trail.
"""

import asyncio
import hashlib
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import Parameter

from merkato.chassis.ask import Asks, Refusal
from merkato.chassis.http import (
    Cursor,
    IdempotencyKey,
    Limit,
    decode_cursor,
    encode_cursor,
    staff,
)
from merkato.chassis.idempotency import parse_key
from merkato.chassis.ids import derived_id, new_id
from merkato.chassis.tokens import Caller
from merkato.contracts.letters import (
    IDS_MAX,
    Act,
    Acted,
    Actor,
    Contents,
    Edit,
    Edited,
    Filter,
    Letter,
    Letters,
    State,
)
from merkato.contracts.problem import KeyReused, NotFound, Problem, StateConflict, Validation

PATH = "/api/v1/dead-letters"
READ, WRITE = "dead-letters:read", "dead-letters:write"
INSIDE = "/set-aside"  # where services answer services
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+\Z")]


class DeadLetter(Letter, frozen=True, kw_only=True):
    """An event that a service set aside. Its id names the service and the event."""

    id: str  # payments:0197…
    service: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of letters, newest first; of the services in `unavailable` nothing is in it."""

    items: list[DeadLetter]
    next_cursor: str | None
    unavailable: list[str]


class Opened(DeadLetter, frozen=True, kw_only=True):
    """A letter with its contents. `hidden` names the fields that are not shown."""

    source: str | None
    time: datetime | None
    data: dict[str, Any] | None  # None: it cannot be read
    hidden: list[str]
    behind: int  # later events of its key that wait for it


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Letters by id, or all open ones of a service, a type, a key or a state."""

    ids: Annotated[list[Word], msgspec.Meta(min_length=1, max_length=IDS_MAX)] | None = None
    service: Word | None = None
    type: Word | None = None
    key: Word | None = None
    state: State | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """How many letters it concerned, by service; some services may not have answered."""

    count: int
    services: dict[str, int]
    unavailable: list[str]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different in the event's data: a merge patch (RFC 7396)."""

    data: dict[str, Any]


class Services:
    """All services that may have set something aside."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def chosen(self, name: str | None) -> tuple[str, ...]:
        """Give all, or the one that is named. Raises Validation for another."""
        if name is not None and name not in self.names:
            raise Validation.at("/service", f"Services are {', '.join(self.names)}.")
        return (name,) if name else self.names

    def split(self, id: str) -> tuple[str, UUID]:
        """Read the id of a letter. Raises NotFound."""
        service, _, event_id = id.partition(":")
        try:
            if service in self.names:
                return service, UUID(event_id)
        except ValueError:
            pass
        raise NotFound("There is no such letter.")


def _of(service: str, letter: Letter) -> dict[str, Any]:
    return msgspec.structs.asdict(letter) | {
        "id": f"{service}:{letter.event_id}", "service": service,
    }  # fmt: skip


@get(PATH, policy=staff(READ))
async def list_letters(
    asks: Asks,
    services: Services,
    service: Annotated[str | None, Parameter(max_length=40)] = None,
    letter_state: Annotated[State | None, Parameter(query="state")] = None,
    event_type: Annotated[str | None, Parameter(query="type", max_length=200)] = None,
    key: Annotated[str | None, Parameter(max_length=300)] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Found:
    """List events that could not be handled, newest first; without a state, the open ones."""
    chosen = services.chosen(service)
    after = decode_cursor(cursor, tuple[datetime, UUID])
    asked: dict[str, Any] = {
        "state": letter_state,
        "type": event_type,
        "key": key,
        "limit": limit + 1,
    }
    if after is not None:
        asked |= {"before": after[0].isoformat(), "before_id": after[1]}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    answers = await asyncio.gather(
        *(_ask(asks, name, "GET", f"{INSIDE}?{query}", Letters) for name in chosen)
    )
    found = [
        DeadLetter(**_of(name, letter))
        for name, part in zip(chosen, answers, strict=True)
        if part is not None
        for letter in part.items
    ]
    found.sort(key=lambda one: (one.set_aside_at, one.event_id), reverse=True)
    page = found[:limit]
    more = len(found) > limit
    return Found(
        items=page,
        next_cursor=encode_cursor(page[-1].set_aside_at, page[-1].event_id) if more else None,
        unavailable=[name for name, part in zip(chosen, answers, strict=True) if part is None],
    )


async def _ask(
    asks: Asks, service: str, method: str, path: str, form: type[Any], body: object = None
) -> Any:
    """Ask one service of several; None when it does not answer."""
    try:
        return await asks.ask(service, method, path, form, body)
    except Problem:
        return None


@get(f"{PATH}/{{id:str}}", policy=staff(READ))
async def open_letter(id: str, asks: Asks, services: Services) -> Opened:
    """Look inside a letter. Personal and secret fields are named, never shown."""
    service, event_id = services.split(id)
    return await _opened(asks, service, event_id)


async def _opened(asks: Asks, service: str, event_id: UUID) -> Opened:
    found: Contents = await _one(asks, service, "GET", f"{INSIDE}/{event_id}", Contents)
    contents: dict[str, Any] = msgspec.structs.asdict(found)
    del contents["letter"]
    return Opened(**(_of(service, found.letter) | contents))


async def _one(
    asks: Asks, service: str, method: str, path: str, form: type[Any], body: object = None
) -> Any:
    """Ask the service a letter is in; its refusal is ours."""
    try:
        return await asks.ask(service, method, path, form, body)
    except Refusal as refusal:
        detail = str(refusal.problem.get("detail", ""))
        match refusal.status:
            case 404:
                raise NotFound(detail) from refusal
            case 409:
                raise StateConflict(detail) from refusal
            case 422 if refusal.slug == KeyReused.slug:
                raise KeyReused(detail) from refusal
            case 422:
                errors = refusal.problem.get("errors", [])
                raise Validation(detail, errors=errors) from refusal
        raise


@post(f"{PATH}/retry", policy=staff(WRITE), status_code=200, example={"service": "payments"})
async def retry_letters(
    data: Selection, caller: Caller, asks: Asks, services: Services,
    idempotency_key: IdempotencyKey = None,
) -> Done:  # fmt: skip
    """Have letters tried again now; those behind them follow in order. A repeat is harmless."""
    parse_key(idempotency_key, required=False)
    return await _act("retry", data, caller, asks, services)


@post(f"{PATH}/discard", policy=staff(WRITE), status_code=200, example={"service": "payments"})
async def discard_letters(
    data: Selection, caller: Caller, asks: Asks, services: Services,
    idempotency_key: IdempotencyKey = None,
) -> Done:  # fmt: skip
    """Give letters up; those behind them go on. A repeat is harmless."""
    parse_key(idempotency_key, required=False)
    return await _act("discard", data, caller, asks, services)


@post(f"{PATH}/{{id:str}}/retry", policy=staff(WRITE), status_code=200)
async def retry_letter(
    id: str, caller: Caller, asks: Asks, services: Services, idempotency_key: IdempotencyKey = None
) -> Opened:
    """Have one letter tried again now."""
    parse_key(idempotency_key, required=False)
    return await _act_on_one("retry", id, caller, asks, services)


@post(f"{PATH}/{{id:str}}/discard", policy=staff(WRITE), status_code=200)
async def discard_letter(
    id: str, caller: Caller, asks: Asks, services: Services, idempotency_key: IdempotencyKey = None
) -> Opened:
    """Give one letter up."""
    parse_key(idempotency_key, required=False)
    return await _act_on_one("discard", id, caller, asks, services)


@post(f"{PATH}/{{id:str}}/edit", policy=staff(WRITE), status_code=201, example={"data": {"a": 1}})
async def edit_letter(
    id: str,
    data: Change,
    caller: Caller,
    asks: Asks,
    services: Services,
    idempotency_key: IdempotencyKey = None,
) -> Opened:
    """Put an event with other data in a letter's place, with the letter as its cause, and try it.

    Hidden fields stay as they are; what the event is about cannot change.
    """
    key = parse_key(idempotency_key, required=False)
    service, event_id = services.split(id)
    made = new_id()
    if key is not None:  # the same request again makes the same event
        made = derived_id(hashlib.sha256(f"{caller.principal} {key} {id}".encode()).digest())
    body = Edit(event_id=made, patch=data.data, actor=_actor(caller))
    await _one(asks, service, "POST", f"{INSIDE}/{event_id}/edited", Edited, body)
    return await _opened(asks, service, made)


def _actor(caller: Caller) -> Actor:
    return Actor(kind=caller.kind, id=caller.user_id or caller.key_id, role=caller.role)


async def _act_on_one(
    action: Any, id: str, caller: Caller, asks: Asks, services: Services
) -> Opened:
    service, event_id = services.split(id)
    body = Act(action=action, filter=Filter(ids=[event_id]), actor=_actor(caller))
    await _one(asks, service, "POST", f"{INSIDE}/actions", Acted, body)
    return await _opened(asks, service, event_id)


async def _act(
    action: Any, wanted: Selection, caller: Caller, asks: Asks, services: Services
) -> Done:
    named = (wanted.ids, wanted.service, wanted.type, wanted.key, wanted.state)
    if all(one is None for one in named):
        raise Validation.at("", "Name letters by id, or a service, a type, a key or a state.")
    chosen = services.chosen(wanted.service)
    ids: dict[str, list[UUID]] = {}
    for one in wanted.ids or ():
        service, event_id = services.split(one)
        ids.setdefault(service, []).append(event_id)
    if wanted.ids is not None:
        chosen = tuple(name for name in chosen if name in ids)
    bodies = [
        Act(
            action=action,
            filter=Filter(ids=ids.get(name), type=wanted.type, key=wanted.key, state=wanted.state),
            actor=_actor(caller),
        )
        for name in chosen
    ]
    answers: list[Acted | None] = await asyncio.gather(
        *(
            _ask(asks, name, "POST", f"{INSIDE}/actions", Acted, body)
            for name, body in zip(chosen, bodies, strict=True)
        )
    )
    counts = {n: a.count for n, a in zip(chosen, answers, strict=True) if a is not None}
    return Done(
        count=sum(counts.values()),
        services=counts,
        unavailable=[name for name in chosen if name not in counts],
    )
