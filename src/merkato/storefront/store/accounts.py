"""Questions about the customer's own account, and changes to it."""

from typing import Any

from merkato.chassis.visit import Api

ME = "/api/v1/me"
AUTH = "/api/v1/auth"


async def log_in(api: Api, email: str, password: str, code: str = "") -> dict[str, Any]:
    """Give tokens for a password. Raises Refusal: 401, 429."""
    body = {"email": email, "password": password} | ({"code": code} if code else {})
    pair: dict[str, Any] = await api.send("POST", f"{AUTH}/token", body)
    return pair


async def register(api: Api, email: str, password: str, name: str, locale: str) -> None:
    """Open an account. Raises Refusal (422) for a poor password."""
    body: dict[str, Any] = {"email": email, "password": password, "locale": locale}
    await api.send("POST", f"{AUTH}/register", body | ({"name": name} if name else {}))


async def log_out(api: Api, refresh_token: str) -> None:
    """End the login."""
    await api.send("POST", f"{AUTH}/token/revoke", {"refresh_token": refresh_token})


async def forgot(api: Api, email: str) -> None:
    """Ask for a mail with a link to a new password."""
    await api.send("POST", f"{AUTH}/password/forgot", {"email": email})


async def reset(api: Api, token: str, password: str) -> None:
    """Set a new password by a mailed link. Raises Refusal: 410, 422."""
    await api.send("POST", f"{AUTH}/password/reset", {"token": token, "password": password})


async def verify(api: Api, token: str) -> None:
    """Confirm an address by a mailed link. Raises Refusal (410)."""
    await api.send("POST", f"{AUTH}/email/verify", {"token": token})


async def me(api: Api) -> tuple[dict[str, Any], str]:
    """Give the account and its ETag."""
    found, headers = await api.exchange("GET", ME)
    return found, headers.get("etag", "")


async def change_me(api: Api, change: dict[str, Any], etag: str) -> None:
    """Change the profile. Raises Refusal (412) when it changed meanwhile."""
    await api.send("PATCH", ME, change, headers={"if-match": etag})


async def erase_me(api: Api, etag: str) -> None:
    """Erase the account, here and everywhere."""
    await api.send("DELETE", ME, headers={"if-match": etag})


async def export_me(api: Api) -> Any:
    """Give all that is kept about the customer."""
    return await api.get(f"{ME}/export")


async def change_password(api: Api, current: str, new: str) -> None:
    """Change the password. All logins end. Raises Refusal: 403, 422, 429."""
    await api.send("POST", f"{ME}/password", {"current_password": current, "password": new})


async def change_email(api: Api, email: str, password: str) -> None:
    """Ask for another address; it counts after its mailed link. Raises Refusal: 403, 422, 429."""
    await api.send("POST", f"{ME}/email", {"email": email, "password": password})


async def addresses(api: Api) -> list[dict[str, Any]]:
    """List the address book."""
    found: list[dict[str, Any]] = (await api.get(f"{ME}/addresses"))["items"]
    return found


async def add_address(api: Api, address: dict[str, Any]) -> None:
    """Add to the address book. Raises Refusal (422)."""
    await api.send("POST", f"{ME}/addresses", address)


async def remove_address(api: Api, address_id: str) -> None:
    """Remove from the address book; harmless to repeat."""
    _, headers = await api.exchange("GET", f"{ME}/addresses/{address_id}")
    await api.send(
        "DELETE", f"{ME}/addresses/{address_id}", headers={"if-match": headers.get("etag", "")}
    )


async def inbox(api: Api, cursor: str | None) -> dict[str, Any]:
    """Give a page of the customer's messages."""
    found: dict[str, Any] = await api.get(
        "/api/v1/notifications", customer="me", limit=20, cursor=cursor
    )
    return found


async def mark_read(api: Api, message_id: str) -> None:
    """Note that a message was read; again is harmless."""
    await api.send("POST", f"/api/v1/notifications/{message_id}/read", {})


async def preferences(api: Api) -> tuple[list[dict[str, Any]], str]:
    """Give what the customer wants to be told, and how, and its ETag."""
    found, headers = await api.exchange("GET", f"{ME}/notification-preferences")
    return found["items"], headers.get("etag", "")


async def set_preferences(api: Api, wanted: list[dict[str, Any]], etag: str) -> None:
    """Set what the customer wants to be told. Raises Refusal (412) when it changed meanwhile."""
    headers = {"if-match": etag}
    await api.send("PUT", f"{ME}/notification-preferences", {"items": wanted}, headers=headers)
