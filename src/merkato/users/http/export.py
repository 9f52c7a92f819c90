"""All that the shop keeps about a person, given to that person, or to staff on their behalf."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get

from merkato.chassis.ask import Asks
from merkato.chassis.db import Database, Tx
from merkato.chassis.http import USER, staff
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound, RateLimited
from merkato.contracts.users import PersonalPage
from merkato.users.actions import recovery
from merkato.users.domain.people import Account, SavedAddress
from merkato.users.http.me import Me, own, private, view
from merkato.users.store import accounts as store
from merkato.users.store import logins as login_store
from merkato.users.store import views as view_store

PAGES_MAX = 50  # of each kind, of 100; who has more is told so
AGAIN_S = 3_600

# What others keep: the part of the answer, the service, and where it gives it.
ELSEWHERE = (
    ("orders", "orders", "/api/v1/orders/personal-data"),
    ("carts", "orders", "/api/v1/carts/personal-data"),
    ("payments", "payments", "/api/v1/payments/personal-data"),
    ("messages", "notifications", "/api/v1/notifications/personal-data"),
    ("preferences", "notifications", "/api/v1/notification-preferences/personal-data"),
)


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept about a person. `cut_short` names parts that go on beyond what is shown."""

    exported_at: datetime
    profile: Me
    addresses: list[SavedAddress]
    sessions: list[login_store.Session]
    views: list[view_store.SavedView]  # of lists, for staff
    orders: list[dict[str, Any]]  # with their timelines
    carts: list[dict[str, Any]]
    payments: list[dict[str, Any]]  # with what was asked of the processor
    messages: list[dict[str, Any]]
    preferences: list[dict[str, Any]]
    cut_short: list[str] = []


@get("/api/v1/me/export", policy=USER)
async def export_me(caller: Caller, db: Database, asks: Asks) -> Response[Export]:
    """Give all that the shop keeps about the caller, asked of every service now.

    At most five an hour: 429 then. 503 while a service does not answer: half would not be all.
    """
    async with db.transaction() as tx:
        account = await own(tx, caller)
        assert account.email_key is not None, "not erased"
        due = await recovery.is_mail_due(tx, "export", account.email_key)
        here = await _here(tx, account)
    if not due:
        raise RateLimited("You had your data just now; come back later.", AGAIN_S)
    return private(await _export(account, here, asks))


@get("/api/v1/users/{user_id:uuid}/export", policy=staff("users:write"))
async def export_user(user_id: UUID, caller: Caller, db: Database, asks: Asks) -> Response[Export]:
    """Give all that the shop keeps about somebody, for whoever asks by letter; it is noted.

    404 for nobody, and for somebody who was erased. 503 while a service does not answer.
    """
    async with db.transaction() as tx:
        account = await store.by_id(tx, user_id)
        if account is None or account.erased_at is not None:
            raise NotFound("There is no such user, or no longer.")
        here = await _here(tx, account)
    export = await _export(account, here, asks)
    async with db.transaction() as tx:
        note(tx, caller, "users.data_exported", f"user:{user_id}")
    return private(export)


async def _here(tx: Tx, account: Account) -> dict[str, Any]:
    """Read what users itself keeps about somebody."""
    return {
        "addresses": await store.addresses(tx, account.id),
        "sessions": await login_store.sessions(tx, account.id),
        "views": await view_store.every(tx, account.id),
    }


async def _export(account: Account, here: dict[str, Any], asks: Asks) -> Export:
    found = await asyncio.gather(
        *(_all(asks, service, f"{path}/{account.id}") for _, service, path in ELSEWHERE)
    )
    parts: dict[str, Any] = {
        name: items for (name, *_), (items, _) in zip(ELSEWHERE, found, strict=True)
    }
    short = [name for (name, *_), (_, cut) in zip(ELSEWHERE, found, strict=True) if cut]
    return Export(
        exported_at=datetime.now(UTC),
        profile=view(account),
        cut_short=short,
        **here,
        **parts,
    )


async def _all(asks: Asks, service: str, path: str) -> tuple[list[dict[str, Any]], bool]:
    """Ask a service for all its pages; tell whether there were more than can be given."""
    items: list[dict[str, Any]] = []
    query = ""
    for _ in range(PAGES_MAX):
        page = await asks.ask(service, "GET", f"{path}{query}", PersonalPage)
        items += page.items
        if page.next_cursor is None:
            return items, False
        query = f"?cursor={page.next_cursor}"
    return items, True


ROUTES: tuple[Any, ...] = (export_me, export_user)
