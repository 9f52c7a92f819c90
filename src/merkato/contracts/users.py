"""What users says: accounts come, change and go."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from merkato.contracts.event import Event, Personal


class _AboutUser(Event, frozen=True, kw_only=True):
    user_id: UUID

    @property
    def key(self) -> str:
        return str(self.user_id)


class UserRegistered(_AboutUser, frozen=True, kw_only=True):
    """An account exists."""

    type: ClassVar[str] = "users.user_registered.v1"
    public: ClassVar[tuple[str, ...]] = ("user_id",)

    email: Personal[str]
    name: Personal[str | None] = None
    locale: Personal[str] = "en"


class UserErased(_AboutUser, frozen=True, kw_only=True):
    """A person asked to be forgotten: whoever keeps something personal overwrites it."""

    type: ClassVar[str] = "users.user_erased.v1"
    urgent: ClassVar[bool] = True
    public: ClassVar[tuple[str, ...]] = ("user_id",)


class EmailVerificationRequested(_AboutUser, frozen=True, kw_only=True):
    """A mail with a link is wanted. The link is asked for when the mail is sent, by `token_id`."""

    type: ClassVar[str] = "users.email_verification_requested.v1"

    token_id: UUID
    email: Personal[str]
    name: Personal[str | None] = None
    locale: Personal[str] = "en"


class PasswordResetRequested(_AboutUser, frozen=True, kw_only=True):
    """A mail with a link is wanted, as with EmailVerificationRequested."""

    type: ClassVar[str] = "users.password_reset_requested.v1"

    token_id: UUID
    email: Personal[str]
    name: Personal[str | None] = None
    locale: Personal[str] = "en"


class RegistrationRepeated(_AboutUser, frozen=True, kw_only=True):
    """Somebody registered an address that has an account; only its owner is told, by mail."""

    type: ClassVar[str] = "users.registration_repeated.v1"

    request_id: UUID  # tells two such mails apart
    email: Personal[str]
    name: Personal[str | None] = None
    locale: Personal[str] = "en"


class RefreshTokenReused(_AboutUser, frozen=True, kw_only=True):
    """A used refresh token was shown again: its session was ended, its owner is warned by mail."""

    type: ClassVar[str] = "users.refresh_token_reused.v1"

    session_id: UUID
    email: Personal[str]
    name: Personal[str | None] = None
    locale: Personal[str] = "en"


class EmailChanged(_AboutUser, frozen=True, kw_only=True):
    """An account has another address now; the former one is told, in case it was a thief."""

    type: ClassVar[str] = "users.email_changed.v1"

    change_id: UUID  # tells two such mails apart
    email: Personal[str]  # the former address, which is written to
    new_email: Personal[str]
    name: Personal[str | None] = None
    locale: Personal[str] = "en"


class StaffInvited(Event, frozen=True, kw_only=True):
    """Somebody shall become staff: a mail with a link is wanted, asked for by `token_id`."""

    type: ClassVar[str] = "users.staff_invited.v1"

    invitation_id: UUID
    token_id: UUID
    role: str
    email: Personal[str]
    invited_by: Personal[str | None] = None  # name of whoever invites
    locale: Personal[str] = "en"

    @property
    def key(self) -> str:
        """See Event."""
        return str(self.invitation_id)


class AccessChanged(_AboutUser, frozen=True, kw_only=True):
    """What a user may do has changed; access tokens made before `not_before` are refused."""

    type: ClassVar[str] = "users.access_changed.v1"
    last_value: ClassVar[bool] = True

    version: int
    role: str
    blocked: bool
    not_before: datetime


class RoleChanged(Event, frozen=True, kw_only=True):
    """What a role of the shop's own may do has changed; None: the role has ended."""

    type: ClassVar[str] = "users.role_changed.v1"
    last_value: ClassVar[bool] = True

    role: str
    version: int
    permissions: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """See Event."""
        return self.role


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of users to ``POST /api/v1/auth/links/{token_id}``, for service tokens only."""

    url: str


class KeyGrant(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of users to ``GET /api/v1/auth/keys/{sha256}``, for service tokens only."""

    id: UUID
    scopes: tuple[str, ...]  # what the key may do now: never more than its maker
    expires_at: datetime | None = None


class PersonalPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what a service keeps about a user, oldest first, for service tokens only.

    The answer to ``GET /api/v1/<…>/personal-data/{user_id}?cursor=``.
    """

    items: list[dict[str, Any]]
    next_cursor: str | None = None
