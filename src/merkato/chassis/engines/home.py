"""The data folder of an embedded shop: its layout, its secrets, its ports."""

import importlib
import os
import pwd
import secrets
import shutil
from pathlib import Path

import msgspec

from merkato.chassis.supervisor import CannotStart

_FREE_BYTES_MIN = 200 * 1024 * 1024


class Secrets(msgspec.Struct, kw_only=True):
    """Everything secret of one installation; made once, kept in `secrets.json` (0600)."""

    postgres: dict[str, str] = {}  # role ('admin', 'audit' or a service) -> password
    nats: dict[str, str] = {}  # user ('admin' or a service) -> password
    signing: dict[str, dict[str, str]] = {}  # service -> private Ed25519 JWK with `kid`
    order_token: str = ""  # HMAC key of order and cart tokens
    totp: str = ""  # seals second factors
    session: str = ""  # seals what browsers keep for the pages
    webhook_key: str = ""  # seals the secrets of webhooks
    stripe_key: str = ""  # API key of the stand-in card processor
    stripe_webhook_secret: str = ""  # signs the stand-in's webhooks
    gateway_secret: str = ""  # signs what the stand-in gateway to telephones is handed

    def __repr__(self) -> str:
        return "Secrets(…)"


class Home:
    """The folder `path` and what lies in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.postgres = path / "postgres"  # a link where the account of PostgreSQL cannot come here
        self.nats = path / "nats"
        self.run = path / "run"
        self.logs = path / "logs"
        self.secrets_file = path / "secrets.json"

    def open(self) -> None:
        """Make the folder, or check that it is ours; a repeat changes nothing.

        Raises CannotStart when it holds something else, belongs to someone else, cannot be written
        or stands on a full disk.
        """
        other = "set MERKATO_HOME to another folder"
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o711)
            found = {entry.name for entry in self.path.iterdir()}
        except OSError as error:
            raise CannotStart(f"{self.path} cannot be used ({error.strerror}); {other}.") from error
        if found - {"config.json"} and not found & {"secrets.json", "run"}:
            raise CannotStart(f"{self.path} holds other things than a shop's data; {other}.")
        if self.secrets_file.exists() and self.secrets_file.stat().st_uid != os.geteuid():
            owner = _account_name(self.secrets_file.stat().st_uid)
            raise CannotStart(f"{self.path} belongs to {owner}; run as {owner}, or {other}.")
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise CannotStart(f"{self.path} cannot be written by this account; {other}.")
        free_bytes = shutil.disk_usage(self.path).free
        if free_bytes < _FREE_BYTES_MIN:
            raise CannotStart(
                f"The disk of {self.path} is full ({free_bytes // 1024**2} MB free, "
                f"{_FREE_BYTES_MIN // 1024**2} MB needed); make room, or {other}."
            )
        self.run.mkdir(exist_ok=True, mode=0o700)
        self.logs.mkdir(exist_ok=True, mode=0o700)

    def secrets(self, services: tuple[str, ...]) -> Secrets:
        """Read the secrets; whatever is missing is made and kept."""
        try:
            kept = msgspec.json.decode(self.secrets_file.read_bytes(), type=Secrets)
        except FileNotFoundError:
            kept = Secrets()
        except msgspec.DecodeError as error:
            raise CannotStart(f"{self.secrets_file} is damaged ({error}); restore it.") from error
        before = msgspec.json.encode(kept)
        for role in ("admin", "audit", *services):
            kept.postgres.setdefault(role, secrets.token_urlsafe(24))
        for user in ("admin", "gateway", *services):
            kept.nats.setdefault(user, secrets.token_urlsafe(24))
        for service in services:
            if service not in kept.signing:
                kept.signing[service] = _new_key()
        kept.order_token = kept.order_token or secrets.token_urlsafe(48)
        kept.totp = kept.totp or secrets.token_urlsafe(48)
        kept.session = kept.session or secrets.token_urlsafe(48)
        kept.webhook_key = kept.webhook_key or secrets.token_urlsafe(48)
        kept.stripe_key = kept.stripe_key or f"sk_test_{secrets.token_hex(16)}"
        kept.stripe_webhook_secret = kept.stripe_webhook_secret or f"whsec_{secrets.token_hex(24)}"
        kept.gateway_secret = kept.gateway_secret or f"whsec_{secrets.token_hex(24)}"
        after = msgspec.json.encode(kept)
        if after != before:
            write_private(self.secrets_file, msgspec.json.format(after))
        return kept

    def ports(self) -> dict[str, int]:
        """Give the ports used last, by engine."""
        try:
            return msgspec.json.decode((self.run / "ports.json").read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}

    def remember_port(self, name: str, port: int) -> None:
        """Keep a port for the next start."""
        kept = self.ports() | {name: port}
        write_private(self.run / "ports.json", msgspec.json.encode(kept))


def write_private(file: Path, content: bytes) -> None:
    """Write a file only its owner can read; readers see the old content or the new, whole."""
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    new.replace(file)


def _new_key() -> dict[str, str]:
    # Imported here: it takes 0.2 s and is needed once in the life of an installation.
    key = importlib.import_module("joserfc.jwk").OKPKey.generate_key("Ed25519", private=True)
    made = key.as_dict(private=True)
    return {name: str(made[name]) for name in ("kty", "crv", "x", "d")} | {"kid": key.thumbprint()}


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"account {uid}"
