"""Routes of roles and permissions."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, put

from merkato.chassis.db import Database
from merkato.chassis.http import IfMatch, Page, etag, expected_version, staff
from merkato.chassis.tokens import Caller
from merkato.contracts.permissions import ADMIN, ROLES
from merkato.contracts.problem import NotFound, Validation
from merkato.contracts.values import PLAIN_NAME, Line
from merkato.users.actions import roles
from merkato.users.domain.roles import BUILT_IN, Role
from merkato.users.http.keys import Scope
from merkato.users.store import roles as store

ROLE = "/api/v1/roles/{name:str}"
RoleName = Annotated[str, msgspec.Meta(pattern=PLAIN_NAME)]


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may be done; `roles` are those of the code that grant it."""

    name: str
    roles: list[str]


class RoleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PUT /roles/{name}``."""

    title: Line
    permissions: Annotated[tuple[Scope, ...], msgspec.Meta(max_length=100)]


@get("/api/v1/permissions", policy=staff("roles:read"))
async def list_permissions() -> Page[Permission]:
    """List all permissions, which are also the scopes of API keys."""
    return Page(
        items=[
            Permission(name=name, roles=[role for role in ROLES if name in ROLES[role]])
            for name in sorted(ADMIN)
        ]
    )


@get("/api/v1/roles", policy=staff("roles:read"))
async def list_roles(db: Database) -> Page[Role]:
    """List all roles: those of the code, then the shop's own by name."""
    async with db.reading() as tx:
        return Page(items=[*BUILT_IN.values(), *await store.every(tx)])


@get(ROLE, policy=staff("roles:read"))
async def read_role(name: str, db: Database) -> Response[Role]:
    """Show a role, with its ETag."""
    async with db.reading() as tx:
        role = BUILT_IN.get(name) or await store.read(tx, name)
    if role is None:
        raise NotFound("There is no such role.")
    return _answer(role, 200)


@put(ROLE, policy=staff("roles:write"), also=(201,))
async def put_role(
    name: str, data: RoleBody, caller: Caller, db: Database, if_match: IfMatch = None
) -> Response[Role]:
    """Make a role (201) or replace it (200, needs If-Match): obeyed everywhere within 60 s.

    403 for a permission that the caller does not have, 409 for a role of the code.
    """
    expected = None if if_match is None else expected_version(if_match)
    try:
        msgspec.convert(name, RoleName)
    except msgspec.ValidationError as error:
        detail = "A small letter, then small letters, digits and hyphens; 32 at most."
        raise Validation.at("/name", detail) from error
    async with db.transaction() as tx:
        before, after = await roles.put(tx, caller, name, data.title, data.permissions, expected)
    return _answer(after, 201 if before is None else 200)


@delete(ROLE, policy=staff("roles:write"), status_code=204)
async def end_role(name: str, caller: Caller, db: Database, if_match: IfMatch = None) -> None:
    """End a role that nobody has; 409 otherwise. Needs If-Match."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await roles.end(tx, caller, name, expected)


def _answer(role: Role, status: int) -> Response[Role]:
    return Response(role, status_code=status, headers={"ETag": etag(role.version)})


ROUTES: tuple[Any, ...] = (list_permissions, list_roles, read_role, put_role, end_role)
