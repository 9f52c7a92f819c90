"""Second factors: set up, asked for at login, taken away. Accounts are locked by the caller."""

import hashlib
import secrets
from urllib.parse import quote, urlencode

import msgspec

from merkato.chassis.db import Tx
from merkato.chassis.seal import Seal
from merkato.contracts.problem import Forbidden, NotFound, Problem, StateConflict, Validation
from merkato.users.domain import totp
from merkato.users.domain.people import Account
from merkato.users.store import second_factors as store


class SecondFactorRequired(Problem):
    """The password is right; send the code of the authenticator, or a recovery code, as `code`."""

    slug, status, title = "second-factor-required", 401, "A code is needed"

    def __init__(self) -> None:
        super().__init__(
            "Send the code of your authenticator, or a recovery code, as `code`.",
            headers={"WWW-Authenticate": 'Bearer realm="merkato"'},
        )


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A second factor to be confirmed: for an authenticator, by QR code or by hand (base 32)."""

    otpauth_url: str
    secret: str


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Codes for whoever loses the authenticator; each is good for one login. Shown this once."""

    recovery_codes: tuple[str, ...]


async def begin(tx: Tx, account: Account, seal: Seal, issuer: str) -> Enrolment:
    """Make a secret; nothing is asked for until it is confirmed. Raises StateConflict when on."""
    secret = secrets.token_bytes(totp.SECRET_BYTES)
    if not await store.begin(tx, account.id, seal.close(secret)):
        raise StateConflict("There is a second factor; remove it first.")
    url = otpauth_url(secret, issuer, account.email or "")
    return Enrolment(otpauth_url=url, secret=totp.readable(secret))


def otpauth_url(secret: bytes, issuer: str, account: str) -> str:
    """Give what an authenticator reads from a QR code."""
    label = quote(f"{issuer}:{account}")
    digits, period = totp.DIGITS, totp.STEP_S
    asked = {"secret": totp.readable(secret), "issuer": issuer, "digits": digits, "period": period}
    return f"otpauth://totp/{label}?{urlencode(asked, quote_via=quote)}"


async def confirm(tx: Tx, account: Account, code: str, seal: Seal) -> RecoveryCodes:
    """Switch a second factor on with its first code. Raises NotFound, StateConflict, Validation."""
    factor = await store.read(tx, account.id)
    if factor is None:
        raise NotFound("There is no second factor to confirm.")
    if factor.confirmed:
        raise StateConflict("The second factor was confirmed before.")
    if not await _fits(tx, account, code, seal, factor):
        raise Validation.at("/code", "This is not the code of now; is the clock right?")
    return await _new_codes(tx, account)


async def renew_codes(tx: Tx, account: Account, code: str, seal: Seal) -> RecoveryCodes:
    """Replace all recovery codes. Raises NotFound, and Forbidden for a wrong code."""
    await _need(tx, account, code, seal)
    return await _new_codes(tx, account)


async def ask(tx: Tx, account: Account, code: str | None, seal: Seal | None) -> bool:
    """Ask for a code at login; True when it fits or none is needed. Raises SecondFactorRequired."""
    factor = await store.read(tx, account.id)
    if factor is None or not factor.confirmed:
        return True
    if code is None:
        raise SecondFactorRequired
    return seal is not None and await _fits_any(tx, account, code, seal, factor)


async def remove(tx: Tx, account: Account, code: str, seal: Seal) -> None:
    """Take a second factor away by its own code. Raises NotFound, and Forbidden for a wrong one."""
    await _need(tx, account, code, seal)
    await drop(tx, account)


async def drop(tx: Tx, account: Account) -> bool:
    """Take a second factor away; False when there was none."""
    await store.drop_codes(tx, account.id)
    return await store.drop(tx, account.id)


async def _need(tx: Tx, account: Account, code: str, seal: Seal) -> None:
    factor = await store.read(tx, account.id)
    if factor is None or not factor.confirmed:
        raise NotFound("There is no second factor.")
    if not await _fits_any(tx, account, code, seal, factor):
        raise Forbidden("The code is wrong, or was used.")


async def _fits_any(
    tx: Tx, account: Account, code: str, seal: Seal, factor: store.SecondFactor
) -> bool:
    if await _fits(tx, account, code, seal, factor):
        return True
    return await store.use_code(tx, account.id, _hash(code))


async def _fits(
    tx: Tx, account: Account, code: str, seal: Seal, factor: store.SecondFactor
) -> bool:
    secret = seal.open(factor.sealed)
    if secret is None:  # sealed under another key: only recovery codes help
        return False
    step = totp.matching_step(secret, totp.plain_code(code), factor.now, factor.last_step)
    return step is not None and await store.use(tx, account.id, step)


async def _new_codes(tx: Tx, account: Account) -> RecoveryCodes:
    codes = tuple(
        totp.recovery_code(secrets.token_bytes(totp.RECOVERY_BYTES))
        for _ in range(totp.RECOVERY_CODES)
    )
    await store.drop_codes(tx, account.id)
    await store.add_codes(tx, account.id, [_hash(code) for code in codes])
    return RecoveryCodes(recovery_codes=codes)


def _hash(code: str) -> bytes:
    return hashlib.sha256(totp.plain_code(code).encode()).digest()
