"""What the users service is made of. Topology decides in which process it runs."""

from collections.abc import Mapping

from merkato.chassis.seal import Seal
from merkato.chassis.service import Resources, Service
from merkato.config import Config, Users
from merkato.contracts.users import (
    AccessChanged,
    EmailChanged,
    EmailVerificationRequested,
    PasswordResetRequested,
    RefreshTokenReused,
    RegistrationRepeated,
    RoleChanged,
    StaffInvited,
    UserErased,
    UserRegistered,
)
from merkato.users import http, jobs
from merkato.users.actions.logins import Spray
from merkato.users.actions.passwords import Passwords
from merkato.users.actions.recovery import Links
from merkato.users.handlers import HEARS
from merkato.users.http.auth import published

KEY_CHARS_MIN = 32


def sealing(settings: Users) -> Seal | None:
    """Give what seals second factors. Raises ValueError for a key that is too short."""
    if len(settings.totp_key) < KEY_CHARS_MIN and (settings.totp_key or settings.staff_totp):
        raise ValueError(f"users.totp_key needs at least {KEY_CHARS_MIN} characters")
    return Seal(settings.totp_key, "second factors") if settings.totp_key else None


def service(config: Config) -> Service:
    """Put the service together. Where it runs, it needs its signing key in the configuration."""

    def provides(_: Resources) -> Mapping[str, object]:
        if "users" not in config.keys.signing:
            raise ValueError("users cannot run without its own key in keys.signing")
        return {
            "settings": config.users,
            "passwords": Passwords(config.users, config.shop_name),
            "spray": Spray(config.users),
            "links": Links(config.keys.signing["users"], config.public_url),
            "seal": sealing(config.users),
            "keys": published(config.keys.published.get("users", ())),
        }

    return Service(
        name="users",
        prefixes=(
            "/api/v1/auth", "/api/v1/me", "/api/v1/users", "/api/v1/api-keys",
            "/api/v1/audit-trail", "/api/v1/roles", "/api/v1/permissions", "/api/v1/invitations",
        ),
        routes=http.ROUTES,
        says=(
            UserRegistered, RegistrationRepeated, EmailVerificationRequested,
            PasswordResetRequested, RefreshTokenReused, EmailChanged, StaffInvited, AccessChanged,
            RoleChanged, UserErased,
        ),
        hears=HEARS,
        jobs=jobs.JOBS,
        asks=("notifications", "orders", "payments"),
        provides=provides,
    )  # fmt: skip
