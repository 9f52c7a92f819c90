"""Staff from invitation to second factor, and roles that count in every service."""

import re
import time
from base64 import b32decode

from harness import eventually
from shopping import PASSWORD, new_key

from merkato.users.domain.totp import STEP_S, code_at

OBEYED_S = 60.0


async def linked(shop, email, page):
    """The token in the newest mail to an address with a link to a page."""

    async def found():
        for mail in reversed(await shop.mails(email)):
            text = (await shop.ok("GET", f"{shop.outside[0]}/api/messages/{mail['id']}"))["text"]
            if match := re.search(rf"/{page}\?token=([\w.-]+)", text):
                return match[1]
        return None

    return await eventually(found, seconds=30.0)


async def test_staff_are_invited_by_mail_and_log_in_with_a_code(shop):
    email = f"staff-{new_key()[:12]}@example.org"
    body = {"email": email, "role": "fulfilment"}
    await shop.ok("POST", "/api/v1/invitations", body, token=shop.admin)
    body = {"token": await linked(shop, email, "accept-invitation"), "password": PASSWORD}
    await shop.ok("POST", "/api/v1/auth/invitations/acceptance", body)
    token = await shop.log_in(email)
    assert (await shop("GET", "/api/v1/locations", token=token)).status == 200
    assert (await shop("GET", "/api/v1/users", token=token)).status == 403
    begun = await shop.ok("POST", "/api/v1/me/totp", {"password": PASSWORD}, token=token)
    secret = b32decode(begun["secret"] + "=" * (-len(begun["secret"]) % 8))
    step = int(time.time()) // STEP_S
    body = {"code": code_at(secret, step)}
    codes = await shop.ok("POST", "/api/v1/me/totp/confirmation", body, token=token)
    credentials = {"email": email, "password": PASSWORD}
    asked = await shop("POST", "/api/v1/auth/token", credentials)
    assert asked.json()["type"] == "/problems/second-factor-required"
    assert (await shop("GET", "/problems/second-factor-required")).status == 200
    credentials["code"] = code_at(secret, step + 1)
    await shop.ok("POST", "/api/v1/auth/token", credentials)
    credentials["code"] = codes["recovery_codes"][0]
    await shop.ok("POST", "/api/v1/auth/token", credentials)


async def test_a_changed_role_counts_in_every_service_within_a_minute(shop):
    role = f"reader-{new_key()[:8]}"
    path, reads = f"/api/v1/roles/{role}", {"inventory:read": "/api/v1/locations",
                                            "payments:read": "/api/v1/ledger"}  # fmt: skip
    body = {"title": "Reader", "permissions": list(reads)}
    await shop.ok("PUT", path, body, token=shop.admin)
    email, _ = await shop.member()
    found = await shop.ok("GET", f"/api/v1/users?q={email}", token=shop.admin)
    user = f"/api/v1/users/{found['items'][0]['id']}"
    headers = {"if-match": (await shop("GET", user, token=shop.admin)).headers["etag"]}
    await shop.ok("PATCH", user, {"role": role}, token=shop.admin, headers=headers)
    token = await shop.log_in(email)

    async def statuses():
        return [(await shop("GET", path, token=token)).status for path in reads.values()]

    await eventually(lambda: answered(statuses, [200, 200]), seconds=OBEYED_S)
    body["permissions"] = ["payments:read"]
    await shop.ok("PUT", path, body, token=shop.admin, headers={"if-match": '"v1"'})
    await eventually(lambda: answered(statuses, [403, 200]), seconds=OBEYED_S)


async def answered(ask, wanted):
    return await ask() == wanted


async def test_an_address_is_changed_by_mail_and_the_old_one_is_told(shop):
    email, token = await shop.member()
    other = f"new-{email}"
    body = {"email": other, "password": PASSWORD}
    await shop.ok("POST", "/api/v1/me/email", body, token=token)
    link = await linked(shop, other, "verify-email")
    await shop.ok("POST", "/api/v1/auth/email/verify", {"token": link})
    me = await shop.ok("GET", "/api/v1/me", token=token)
    assert (me["email"], me["email_verified"]) == (other, True)

    async def told():
        return [mail for mail in await shop.mails(email) if "address" in mail["subject"].lower()]

    await eventually(told, seconds=30.0)
