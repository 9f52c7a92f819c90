"""Staff at work with orders, people and events in the back office, without JavaScript."""

import re
import time
from base64 import b32decode

import asyncpg
import pytest
from browsing import Browser
from e2e.test_admin import at_work, bought
from e2e.test_staff import linked
from harness import eventually
from receiver import receiving
from service.letters_desk import PLANT, cancelled, message_of
from shopping import PASSWORD, card, new_key

from merkato.chassis.ids import new_id
from merkato.users.domain.totp import STEP_S, code_at

pytestmark = pytest.mark.timeout(240)


async def planted(shop, reason="customer"):
    """A dead letter of inventory, as a service that failed on an event keeps it; gives its id."""
    event, event_id = cancelled(new_id(), reason), new_id()
    connection = await asyncpg.connect(shop.engines.database_urls["inventory"])
    try:
        await connection.execute(
            PLANT, event_id, event.type, event.key, 1, message_of(event, event_id),
            "ValueError('planted')", "dead",
        )  # fmt: skip
    finally:
        await connection.close()
    return f"inventory:{event_id}"


async def settled(shop, letter):
    """Wait until a letter is dealt with; gives its state."""

    async def ended():
        found = await shop.ok("GET", f"/api/v1/dead-letters/{letter}", token=shop.admin)
        return found["state"] if found["state"] in ("done", "discarded") else None

    return await eventually(ended)


async def hired(shop, role="staff"):
    """Somebody of that role: their e-mail address."""
    email, _ = await shop.member("hired")
    found = await shop.ok("GET", f"/api/v1/users?q={email}", token=shop.admin)
    where = f"/api/v1/users/{found['items'][0]['id']}"
    seen = await shop("GET", where, token=shop.admin)
    change = {"if-match": seen.headers["etag"]}
    await shop.ok("PATCH", where, {"role": role}, token=shop.admin, headers=change)
    return email


async def test_some_lines_are_cancelled_and_a_return_is_announced_then_received(shop):
    skus = [await shop.sell(price=500, stock=9) for _ in range(2)]
    email, token = await shop.member()
    placed = await shop.place(shop.order_of(dict.fromkeys(skus, 2), email), token=token)
    order_id = placed.json()["id"]
    await shop.until(order_id)
    async with await at_work(shop) as browser:
        page = await browser.go(f"/admin/orders/{order_id}")
        form = next(one for one in page.forms if one.fields.get("part") == "yes")
        fields = {**form.fields, "line.2": "1", "reason": "broken"}
        page = await browser.go(form.action, "POST", data=fields)
        assert "€5.00" in page.words, page
        page = await browser.press("Cancel it")
        assert "Cancelled; what was paid goes back." in page.words, page
        page = await browser.press("Ship")
        assert "lines shipped by admin@example.org" in page.words, "whoever did it is named"
        page = await browser.press("Announce it", **{"line.1": "1", "line.2": "0"})
        assert "Announced; the customer is told." in page.words, page
        receipt = next(one for one in page.forms if one.fields.get("kind") == "receipt")
        page = await browser.go(receipt.action, "POST", data=receipt.fields)
        assert "Credited to the customer €5.00" in page.words, page
        page = await browser.press("Receive it")
        assert "Received; the money goes back." in page.words, page
        page = await browser.go(f"/admin/orders/{order_id}/invoice")
        assert page.status == 200
        assert "unsafe-inline" not in page.headers["content-security-policy"]
        found = await browser.go(f"/admin/t/orders?q={email}")
        assert order_id in found.html, "orders are found by e-mail"
        assert email in found.words, "who bought is named"
        assert order_id not in (await browser.go("/admin/t/orders?status=placed")).html
        assert (await browser.go("/admin/t/orders?until=nonsense")).status == 200
    kinds = [one["kind"] for one in (await shop.order(order_id))["credits"]]
    assert kinds == ["cancellation", "return"]


async def test_a_refund_that_failed_is_given_in_another_way(shop):
    sku = await shop.sell(price=1_000, stock=10)
    email, token = await shop.member()
    body = shop.order_of({sku: 1}, email, card("pm_card_refundFail"))
    order_id = (await shop.place(body, token=token)).json()["id"]
    await shop.until(order_id)

    async def stands(status):
        async def there():
            return (await shop.order(order_id))["payment_status"] == status

        return await eventually(there, seconds=40)

    await stands("paid")
    async with await at_work(shop) as browser:
        await browser.go(f"/admin/orders/{order_id}")
        await browser.press("Show the sums", amount="3")
        page = await browser.press("Credit and send back")
        assert "Credited; the money goes back." in page.words, page
        await stands("refund_failed")
        refunds = await browser.go("/admin/t/refunds?state=failed")
        assert order_id in refunds.html
        assert (await shop.order(order_id))["number"] in refunds.words
        assert order_id in (await browser.go("/admin/t/orders?payment_status=refund_failed")).html
        await browser.go(f"/admin/orders/{order_id}")
        page = await browser.press("It was given in another way")
        assert "Noted as given in another way." in page.words, page
    await stands("partly_refunded")


async def test_every_page_answers(shop):
    order_id = await bought(shop, await shop.sell())
    async with await at_work(shop) as browser:
        dashboard = await browser.go("/admin")
        assert {"Health", "Orders per hour", "Top goods", "Latency"} <= set(
            re.findall(r"Health|Orders per hour|Top goods|Latency", dashboard.words)
        )
        for path in ("/admin/me", "/admin/roles/new", "/admin/roles/staff",
                     "/admin/texts/order_placed/en", "/admin/texts/order_placed/en/mail",
                     "/admin/topics/orders.order_placed", "/admin/t/reports?by=product",
                     "/admin/t/reports?by=nonsense", "/admin/t/customers"):  # fmt: skip
            page = await browser.go(path)
            assert page.status == 200, page
        for path in ("/admin/me/totp", "/admin/roles", "/admin/api-keys", "/admin/webhooks",
                     f"/admin/orders/{order_id}/sums"):  # fmt: skip
            assert (await browser.go(path)).status == 200, "an answer that is loaded anew leads on"
        assert (await browser.go("/admin/roles/nobody")).status == 404
        assert "To the dashboard" in browser.page.words
        page = await browser.go("/admin/reports/sales.csv?by=day")
        assert page.headers["content-type"].startswith("text/csv")
        assert page.html.startswith("key,label,currency")


async def test_a_dead_letter_is_retried_edited_and_given_up(shop):
    retried, edited, *many = [await planted(shop) for _ in range(4)]
    async with await at_work(shop) as browser:
        assert "planted" in (await browser.go("/admin/t/dead-letters")).words
        await browser.go(f"/admin/dead-letters/{retried}")
        page = await browser.press("Try it again")
        assert "It is tried again." in page.words, page
        page = await browser.go(f"/admin/dead-letters/{edited}")
        form = next(one for one in page.forms if one.action.endswith("/edit"))
        key = form.fields
        page = await browser.go(form.action, "POST", data={**key, "data": "{ no"})
        assert "This is not JSON" in page.words, page
        seen = await shop.ok("GET", f"/api/v1/dead-letters/{edited}", token=shop.admin)
        text = str(seen["data"]).replace("'customer'", "'staff'")
        data = text.replace("'", '"').replace("None", "null").replace("False", "false")
        page = await browser.go(form.action, "POST", data={**key, "data": data})
        assert "An edited event is in its place" in page.words, page
        made = page.url.rsplit("/", 1)[-1]
        page = await browser.go("/admin/t/dead-letters")
        form = next(one for one in page.forms if "Give them up" in one.buttons)
        fields = [("csrf", form.fields["csrf"]), ("key", new_key()), ("do", "discard")]
        fields += [("id", one) for one in many]
        page = await browser.go(form.action, "POST", data=fields)
        assert "2 of 2 are given up." in page.words, page
    states = [await settled(shop, one) for one in (retried, made.replace("%3A", ":"), *many)]
    assert states == ["done", "done", "discarded", "discarded"]


async def test_somebody_is_invited_and_protects_their_login(shop):
    email = f"new-{new_key()[:10]}@example.org"
    async with await at_work(shop) as browser:
        await browser.go("/admin/t/staff")
        page = await browser.press("Send the invitation", email=email, role="staff")
        assert f"the mail to {email} is on its way" in page.words, page
    token = await linked(shop, email, "admin/accept-invitation")
    async with Browser(shop.base_url) as browser:
        await browser.go(f"/admin/accept-invitation?token={token}")
        page = await browser.press("Accept", name="Noor", password="short")
        assert "notice bad" in page.html, page
        page = await browser.press("Accept", name="Noor", password=PASSWORD)
        assert "Welcome." in page.words, page
        page = await browser.press("Log in", email=email, password=PASSWORD)
        assert "Noor" in page.words, page
        await browser.go("/admin/me")
        page = await browser.press("Set it up", password="wrong")
        assert "The current password is wrong." in page.words, page
        page = await browser.press("Set it up", password=PASSWORD)
        assert "<svg" in page.html
        assert page.headers["cache-control"] == "no-store"
        secret = re.search(r"Key: ([A-Z2-7]+)", page.words)[1]
        seed = b32decode(secret + "=" * (-len(secret) % 8))
        page = await browser.press("Switch it on", code="000000")
        assert "That was not the code" in page.words, page
        assert secret in page.words, "the same key is shown again"
        step = int(time.time()) // STEP_S
        page = await browser.press("Switch it on", code=code_at(seed, step))
        assert "Recovery codes" in page.words, page
        spare = re.findall(r"<li><code>([^<]+)</code></li>", page.html)
        await browser.press("Log out")
        page = await browser.press("Log in", email=email, password=PASSWORD)
        assert "notice bad" in page.html, page
        page = await browser.press("Log in", email=email, password=PASSWORD, code=spare[0])
        assert "Dashboard" in page.words, page
        assert (await browser.go("/admin/t/audit-trail")).status == 403
        assert "Your role may not do this" in browser.page.words
    async with Browser(shop.base_url) as browser:
        page = await browser.go("/login")
        assert "authenticator" not in page.words, page
        page = await browser.press("Log in", email=email, password=PASSWORD)
        assert "the code from your app" in page.words, page
        page = await browser.press("Log in", email=email, password=PASSWORD, code=spare[1])
        assert "Hello Noor" in page.words, page


async def test_roles_and_keys_are_made_shown_once_and_ended(shop):
    name = f"night-{new_key()[:8]}"
    async with await at_work(shop) as browser:
        await browser.go("/admin/roles/new")
        page = await browser.press("Save", name=name, title="Night", permissions="orders:read")
        assert "Saved; it is obeyed" in page.words, page
        assert (await browser.go(f"/admin/roles/{name}")).html.count(" checked") == 1
        page = await browser.press("End it")
        assert "The role is gone." in page.words, page
        await browser.go("/admin/t/api-keys")
        page = await browser.press("Make the key", name=name)
        assert "Choose what the program may do." in page.words, page
        page = await browser.press("Make the key", name=name, scopes="orders:read")
        key = re.search(r"mk_[0-9a-f]{8}_[0-9a-f]{64}", page.html)[0]
        assert (await shop("GET", "/api/v1/orders", token=key)).status == 200
        page = await browser.go("/admin/t/api-keys")
        assert key not in page.html
        assert name in page.words


async def test_a_text_is_changed_looked_at_and_put_back(shop):
    async with await at_work(shop) as browser:
        page = await browser.go("/admin/texts/order_cancelled/de-CH")
        page = await browser.press("Save", subject="Grüezi {{ number }}", summary="Schade")
        assert "Saved; it is used within 5 seconds." in page.words, page
        assert "Grüezi" in page.words
        page = await browser.press("Save", subject="{{ nothing.of.that }}")
        assert "notice bad" in page.html, page
        assert "nothing.of.that" in page.html, "what was typed stays"
        await browser.go("/admin/texts/order_cancelled/de-CH")
        page = await browser.press("Look at it", html="<p>A draft</p>")
        page = await browser.go("/admin/texts/order_cancelled/de-CH/mail")
        assert "unsafe-inline" not in page.headers["content-security-policy"]
        await browser.go("/admin/texts/order_cancelled/de-CH")
        page = await browser.press("Use the built-in text")
        assert "The built-in text is used again." in page.words, page


async def test_a_message_is_looked_at_and_sent_again(shop):
    order_id = await bought(shop, await shop.sell())
    order = await shop.order(order_id)
    email = order["contact"]["email"]

    async def told():
        listed = await shop.ok(
            "GET", f"/api/v1/notifications?recipient={email}&state=sent", token=shop.admin
        )
        return listed["items"]

    message = (await eventually(told))[0]
    async with await at_work(shop) as browser:
        page = await browser.go(f"/admin/t/notifications?recipient={email}")
        assert message["id"] in page.html
        page = await browser.go(f"/admin/notifications/{message['id']}")
        assert order["number"] in page.words, page
        page = await browser.press("Send it again")
        assert "It is sent again." in page.words, page
        page = await browser.go(f"/admin/notifications/{message['id']}/mail")
        assert page.headers["content-security-policy"].startswith("sandbox;")


async def test_a_customer_is_exported_and_erased(shop):
    email, _ = await shop.member("leaving")
    found = await shop.ok("GET", f"/api/v1/users?q={email}", token=shop.admin)
    user_id = found["items"][0]["id"]
    async with await at_work(shop) as browser:
        page = await browser.go(f"/admin/customers/{user_id}/export")
        assert email in page.html
        assert "exported_at" in page.html
        await browser.go(f"/admin/customers/{user_id}")
        page = await browser.press("Erase this person", email="somebody@else.example")
        assert "Nothing was erased" in page.words, page
        page = await browser.press("Erase this person", email=email)
        assert "Erased, here and in every service." in page.words, page
        assert email not in page.html


async def test_an_endpoint_is_added_pinged_and_removed(shop):
    async with receiving() as receiver, await at_work(shop) as browser:
        await browser.go("/admin/t/webhooks")
        page = await browser.press("Add it", url="ftp://nowhere.example")
        assert "notice bad" in page.html, page
        page = await browser.press("Add it", url=receiver.url, description="books")
        assert "Secret of this endpoint" in page.words, page
        receiver.secrets.append(re.search(r"whsec_[\w+/=]+", page.html)[0])
        hook = re.search(r"/admin/webhooks/([0-9a-f-]{36})/ping", page.html)[1]
        page = await browser.press("Send a ping")
        assert "A ping is on its way." in page.words, page

        async def came():
            page = await browser.go(f"/admin/webhooks/{hook}")
            delivery = re.search(r"/admin/deliveries/[0-9a-f-]{36}", page.html)[0]
            return "200" in (await browser.go(delivery)).words

        await eventually(came)
        page = await browser.press("Send it again")
        assert "It is sent again." in page.words, page
        await browser.go(f"/admin/webhooks/{hook}")
        page = await browser.press("Pause")
        assert "Paused" in page.words
        page = await browser.press("Remove it")
        assert "Removed, with its deliveries." in page.words, page


async def test_events_are_followed_as_they_happen(shop):
    email = await hired(shop)
    async with Browser(shop.base_url) as browser:
        await browser.go("/admin/login")
        await browser.press("Log in", email=email, password=PASSWORD)
        page = await browser.go("/admin/t/live?topic=orders.order_placed")
        stream = page.html.split('data-live="')[1].split('"')[0].replace("&amp;", "&")
        async with browser.session.get(shop.base_url + stream) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            order_id = await bought(shop, await shop.sell())
            async for line in answer.content:
                if order_id.encode() in line:
                    break
        assert order_id in (await browser.go("/admin/t/live")).html, "without a script too"
        page = await browser.go(f"/admin/t/events?key={order_id}")
        assert "orders.order_placed" in page.words
