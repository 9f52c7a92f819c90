"""How the shop's pages must be: quick on the server, light on the wire, steady on a telephone.

Fills a demo shop of its own up to 1,000 products; docs/benchmarks.md says what is measured and how.
"""

import argparse
import asyncio
import random
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from playwright.async_api import Browser, Page, async_playwright
from report import Floor, console, verdicts
from rich.table import Table
from shop import Caller, Customers, Refused, Shop, calling, running
from wire import Connection, place, request

from merkato.demo import catalogue

PRODUCTS = 1_000
SEED = 5
QUICK_MS, REST_MS = 30.0, 100.0  # p95 of the server's time
CATEGORY_BYTES, HOME_BYTES = 150_000, 300_000  # transferred, nothing in the cache
LCP_MS, CLS, INP_MS = 2_500.0, 0.1, 200.0
PHONE = {"width": 390, "height": 844}
SLOW = 4  # times slower than this machine
LOADS = 3  # of each page; the worst counts
SETTLE_S = 5  # until all services have heard of the new products
PRICE_CHANGES = 50
UPLOADED = 24  # products with pictures that were uploaded
ON_PAGE = 24  # products on a page of a list
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WATCH = """
window.seen = {lcp: 0, cls: 0, inp: 0, clicks: 0};
new PerformanceObserver(list => list.getEntries().forEach(one => { seen.lcp = one.startTime; }))
  .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => list.getEntries().forEach(one => {
  if (!one.hadRecentInput) seen.cls += one.value; }))
  .observe({type: "layout-shift", buffered: true});
new PerformanceObserver(list => list.getEntries().forEach(one => {
  if (one.interactionId) { seen.clicks += 1; seen.inp = Math.max(seen.inp, one.duration); } }))
  .observe({type: "event", durationThreshold: 16, buffered: true});
"""


class Prepared(msgspec.Struct):
    """What is looked at: slugs of all products and of categories, and cookies of customers."""

    slugs: list[str]
    priced: dict[str, str]  # slug -> sku of what may change its price
    categories: list[str]
    guest: str = ""  # the Cookie field of somebody with a cart and an order
    order: str = ""  # the path of that order
    member: str = ""


async def fill_up(shop: Shop, token: str, browser: Browser) -> Prepared:
    """Bring the shop to PRODUCTS products, over the API; some with pictures that are uploaded."""
    demo = catalogue.load()
    slugs = [one.texts["en"].slug for one in demo.products]
    leaves = [one.texts["en"].slug for one in demo.categories]
    dice = random.Random(SEED)
    made = {f"thing-{n:04d}": f"THING-{n:04d}" for n in range(PRODUCTS - len(slugs))}
    async with calling(shop.url) as caller:
        found = await caller.send(request("GET", "/api/v1/categories?locale=en"), 200)
        tree = msgspec.json.decode(found.body)["items"]
        ids = {}
        while tree:
            one = tree.pop()
            ids[one["slug"]] = one["id"]
            tree += one["children"]
        body = msgspec.json.encode({"texts": {"en": {"title": "Uploaded", "slug": "uploaded"}}})
        new = await caller.send(_keyed("POST", "/api/v1/categories", token, body), 201)
        ids["uploaded"] = msgspec.json.decode(new.body)["id"]
        await asyncio.gather(*(
            _make(caller, token, slug, sku, demo.products[n % len(demo.products)],
                  ids["uploaded" if n < UPLOADED else dice.choice(leaves)])
            for n, (slug, sku) in enumerate(made.items())
        ))  # fmt: skip
        page = await browser.new_page(viewport={"width": 1_000, "height": 1_000})
        for n, slug in enumerate(list(made)[:UPLOADED]):
            drawing = catalogue.picture(demo.products[n % len(demo.products)])
            await _upload(caller, token, slug, await _photographed(page, drawing))
        await page.close()
    return Prepared([*slugs, *made], dict(list(made.items())[UPLOADED:]), leaves)


def _keyed(method: str, path: str, token: str, body: bytes) -> bytes:
    key = f"Idempotency-Key: {secrets.token_hex(16)}\r\n"
    return request(method, path, token=token, body=body, headers=key)


async def _make(
    caller: Caller, token: str, slug: str, sku: str, like: catalogue.Product, category: str
) -> None:
    number = slug.rpartition("-")[2]
    texts = {
        locale: {"title": f"{text.title} {number}", "description": text.description,
                 "slug": slug if locale == "en" else f"{slug}-{locale}"}
        for locale, text in like.texts.items()
    }  # fmt: skip
    price = 500 + sum(map(ord, sku)) * 7 % 9_000
    product = {
        "status": "active", "texts": texts, "categories": [category],
        "attributes": like.attributes,
        "variants": [{
            "sku": sku, "weight_g": 250, "image": f"/demo/{like.picture}",
            "prices": [{"currency": "EUR", "amount_minor": price}],
        }],
    }  # fmt: skip
    body = msgspec.json.encode({"on_hand": 1_000})
    await caller.send(_keyed("PUT", f"/api/v1/stock/{sku}", token, body), 200)
    body = msgspec.json.encode(product)
    await caller.send(_keyed("POST", "/api/v1/products", token, body), 201)


async def _photographed(page: Page, drawing: bytes) -> bytes:
    """Make a PNG of 1,000 pixels of a drawing, as somebody would upload one."""
    await page.set_content(f"<body style='margin:0'>{drawing.decode()}</body>")
    return await page.screenshot(type="png", clip={"x": 0, "y": 0, "width": 1_000, "height": 1_000})


async def _upload(caller: Caller, token: str, slug: str, picture: bytes) -> None:
    found = await caller.send(request("GET", f"/api/v1/products/{slug}"), 200)
    path = f"/api/v1/products/{msgspec.json.decode(found.body)['id']}/images"
    key = f"Idempotency-Key: {secrets.token_hex(16)}\r\nContent-Type: image/png\r\n"
    message = request("POST", path, token=token, headers=key).partition(b"Content-Length")[0]
    await caller.send(message + f"Content-Length: {len(picture)}\r\n\r\n".encode() + picture, 201)


async def shop_around(shop: Shop, browser: Browser, prepared: Prepared, member: Any) -> None:
    """Buy as a guest and log in as a member; keep their cookies."""
    context = await browser.new_context(base_url=shop.url, locale="en-GB")
    page = await context.new_page()

    async def cookies() -> str:
        return "; ".join(f"{one['name']}={one['value']}" for one in await context.cookies())

    for buying in (True, False):  # the second time the cart stays full
        await page.goto("/p/pepper-mill-turm")
        await page.get_by_role("button", name="Add to cart").click()
        await page.wait_for_url("**/cart")
        await page.goto("/checkout")
        for name, value in (("email", "a@example.org"), ("name", "Ada"), ("line1", "1 Row"),
                            ("postal_code", "28195"), ("city", "Bremen")):  # fmt: skip
            await page.locator(f"#{name}").fill(value)
        await page.get_by_role("radio", name="On account").check()
        await page.get_by_role("button", name="Show the total").click()
        await page.get_by_role("button", name="Buy now for").wait_for()
        if buying:
            await page.get_by_role("button", name="Buy now for").click()
            await page.wait_for_url("**/orders/**")
            prepared.order = page.url.removeprefix(shop.url).partition("?")[0]
    prepared.guest = await cookies()
    await context.clear_cookies()
    await page.goto("/login")
    email, word = member
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(word)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/account")
    prepared.member = await cookies()
    await context.close()


def ways(prepared: Prepared, dice: random.Random) -> dict[str, Any]:
    """Name what is asked for; each call may ask for another page of the kind."""

    def get(path: str, cookie: str = "") -> bytes:
        more = f"Cookie: {cookie}\r\n" if cookie else ""
        return request("GET", path, headers=f"Accept-Encoding: gzip\r\n{more}")

    words = ("mug", "linen", "oak", "tea", "pot", "blue", "lamp", "garden", "gift", "paper")
    return {
        "home": lambda: get("/"),
        "category": lambda: get(f"/c/{dice.choice(prepared.categories)}"),
        "product": lambda: get(f"/p/{dice.choice(prepared.slugs)}"),
        "search": lambda: get(f"/search?q={dice.choice(words)}"),
        "everything, by price": lambda: get("/search?sort=price"),
        "category, filtered": lambda: get("/c/kitchen?attr.material=stoneware&min=5&in_stock=true"),
        "cart": lambda: get("/cart", prepared.guest),
        "checkout": lambda: get("/checkout", prepared.guest),
        "order": lambda: get(prepared.order, prepared.guest),
        "login": lambda: get("/login"),
        "account": lambda: get("/account", prepared.member),
        "addresses": lambda: get("/account/addresses", prepared.member),
        "messages": lambda: get("/account/messages", prepared.member),
        "notifications": lambda: get("/account/notifications", prepared.member),
    }


async def server_times(shop: Shop, prepared: Prepared, count: int) -> dict[str, list[float]]:
    """Ask for pages, one at a time: `count` of each quick one, `count` of all others together."""
    asked = ways(prepared, random.Random(SEED))
    rest = len(asked) - 3
    connection = Connection(*place(shop.url))
    times: dict[str, list[float]] = {}
    for n, (name, message) in enumerate(asked.items()):
        most = count if n < 3 else -(-count // rest)
        for one in range(most + 10):  # the first ten warm up
            sent, began = message(), time.perf_counter()
            answer = await connection.send(sent)
            took = (time.perf_counter() - began) * 1_000
            if answer.status != 200:
                raise Refused(f"{name}: {answer.status} {answer.body[:200]!r}")
            if one >= 10:
                times.setdefault(name, []).append(took)
    connection.close()
    return times


def p95(values: Sequence[float]) -> float:
    """Give the value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


async def stale_prices(shop: Shop, prepared: Prepared, token: str) -> int:
    """Change prices and look at once at the product and at its list: how often it was the old."""
    stale, connection = 0, Connection(*place(shop.url))
    for n, (slug, sku) in enumerate(list(prepared.priced.items())[:PRICE_CHANGES]):
        price = 100_001 + 100 * n
        body = msgspec.json.encode({"prices": [{"currency": "EUR", "amount_minor": price}]})
        headers = 'If-Match: "v1"\r\n'  # nobody changed it since it was made
        path = f"/api/v1/variants/{sku}/prices"
        set_ = await connection.send(request("PUT", path, token=token, body=body, headers=headers))
        if set_.status != 200:
            raise Refused(f"{path}: {set_.status} {set_.body[:200]!r}")
        shown = f"€{price / 100:,.2f}".encode()
        product = await connection.send(request("GET", f"/p/{slug}"))
        listed = await connection.send(request("GET", "/search?sort=-price"))
        stale += (shown not in product.body) + (shown not in listed.body)
    connection.close()
    return stale


@asynccontextmanager
async def telephone(
    shop: Shop, browser: Browser, *, slow: bool
) -> AsyncIterator[tuple[Page, dict[str, Any]]]:
    """Give a telephone with an empty cache, and what it transfers: bytes, hosts, requests."""
    context = await browser.new_context(
        base_url=shop.url, viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True,
        locale="en-GB",
    )  # fmt: skip
    page = await context.new_page()
    seen: dict[str, Any] = {"bytes": 0, "requests": 0, "strange": []}
    cdp = await context.new_cdp_session(page)
    await cdp.send("Network.enable")
    await cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def loaded(event: Mapping[str, Any]) -> None:
        seen["bytes"] += event["encodedDataLength"]
        seen["requests"] += 1

    def asked(event: Any) -> None:
        if not event.url.startswith((shop.url, "data:")):
            seen["strange"].append(event.url)

    cdp.on("Network.loadingFinished", loaded)
    page.on("request", asked)
    await page.add_init_script(WATCH)
    if slow:
        await cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOW})
    yield page, seen
    await context.close()


async def transferred(shop: Shop, browser: Browser, path: str) -> dict[str, Any]:
    """Load a page and look at all of it, so that every picture comes."""
    async with telephone(shop, browser, slow=False) as (page, seen):
        await page.goto(path, wait_until="networkidle")
        while await page.evaluate(
            "(scrollBy(0, 500), innerHeight + scrollY < document.body.scrollHeight - 1)"
        ):
            await page.wait_for_timeout(60)
        await page.wait_for_load_state("networkidle")
        await page.wait_for_timeout(300)
        pictures = "[...document.images].filter(one => one.complete && one.naturalWidth).length"
        return seen | {"pictures": await page.evaluate(pictures)}


async def _use(page: Page, path: str) -> None:
    """Do what people do on a page, so that there is something to answer to."""
    if path.startswith("/c/"):
        await page.get_by_text("Filter", exact=True).tap()
        await page.locator(".filters .tick input").first.tap()
        await page.wait_for_url("**?*in_stock*")
    elif path.startswith("/p/"):
        await page.locator("#quantity").tap()
        await page.keyboard.type("2")
        await page.get_by_role("button", name="Add to cart").tap()
        await page.wait_for_url("**/cart")
    else:
        await page.locator("#q").tap()
        await page.keyboard.type("tea")
    await page.wait_for_timeout(400)


async def vitals(shop: Shop, browser: Browser, path: str) -> dict[str, float]:
    """Load a page a few times on a slow telephone and use it; give the worst of each number."""
    worst = {"lcp": 0.0, "cls": 0.0, "inp": 0.0, "clicks": 1e9}
    for _ in range(LOADS):
        async with telephone(shop, browser, slow=True) as (page, seen):
            await page.goto(path, wait_until="networkidle")
            await page.wait_for_timeout(500)
            lcp = await page.evaluate("seen.lcp")
            await _use(page, path)
            found = await page.evaluate("seen") | {"lcp": lcp}
            if seen["strange"]:
                raise Refused(f"{path} asks others: {seen['strange']}")
        worst = {name: (min if name == "clicks" else max)(worst[name], found[name])
                 for name in worst}  # fmt: skip
    return worst


async def measure(shop: Shop, count: int) -> list[Floor]:
    """Measure everything; give what was promised and found."""
    customers = Customers(shop.url)
    token = await customers.administrator(shop)
    email, word = f"pages-{secrets.token_hex(4)}@bench.example", secrets.token_urlsafe(18)
    async with async_playwright() as driver, calling(shop.url, 1) as caller:
        path = shutil.which("chromium")
        browser = await driver.chromium.launch(executable_path=path, args=FLAGS)
        prepared = await fill_up(shop, token, browser)
        body = msgspec.json.encode({"email": email, "password": word})
        await caller.send(request("POST", "/api/v1/auth/register", body=body), 202)
        await shop_around(shop, browser, prepared, (email, word))
        await asyncio.sleep(SETTLE_S)
        times = await server_times(shop, prepared, count)
        _table(times)
        stale = await stale_prices(shop, prepared, token)
        pages = {"home": "/", "category": "/c/kitchen", "uploaded pictures": "/c/uploaded",
                 "product": "/p/stoneware-mug-pebble"}  # fmt: skip
        bytes_of = {name: await transferred(shop, browser, path) for name, path in pages.items()}
        console.print({name: one["bytes"] for name, one in bytes_of.items()}, f"stale: {stale}")
        felt = {name: await vitals(shop, browser, path) for name, path in pages.items()}
        await browser.close()
    strange = [url for one in bytes_of.values() for url in one["strange"]]
    rest = [took for name, values in list(times.items())[3:] for took in values]
    found = [
        *(_below(f"{name}: server p95 over {len(times[name]):,}", p95(times[name]), QUICK_MS, "ms")
          for name in list(times)[:3]),
        _below(f"all other pages: server p95 over {len(rest):,}", p95(rest), REST_MS, "ms"),
        *(_below(f"{name}: server p95 over {len(values):,}", p95(values), REST_MS, "ms")
          for name, values in list(times.items())[3:]),
        Floor(f"prices seen late, of {2 * PRICE_CHANGES}", str(stale), stale == 0),
        *(_transferred(name, bytes_of[name], most)
          for name, most in (("home", HOME_BYTES), ("category", CATEGORY_BYTES),
                             ("uploaded pictures", CATEGORY_BYTES))),
        Floor("requests to other hosts", str(len(strange)), not strange),
    ]  # fmt: skip
    for name, one in felt.items():
        found += [_below(f"{name}: LCP", one["lcp"], LCP_MS, "ms"),
                  _below(f"{name}: CLS", one["cls"], CLS, ""),
                  _below(f"{name}: INP", one["inp"], INP_MS, "ms")]  # fmt: skip
        if not one["lcp"] or not one["clicks"]:
            found.append(Floor(f"{name}: was measured at all", "no", False))
    return found


def _below(what: str, found: float, most: float, unit: str) -> Floor:
    digits = 3 if most < 1 else 1
    return Floor(f"{what} ≤ {most:g} {unit}".rstrip(), f"{found:.{digits}f}", found <= most)


def _transferred(name: str, seen: Mapping[str, Any], most: int) -> Floor:
    what = f"{name}: cold, {seen['requests']} requests, {seen['pictures']} pictures"
    return _below(what, seen["bytes"] / 1_000, most / 1_000, "kB")


def _table(times: Mapping[str, Sequence[float]]) -> None:
    table = Table("server time, ms", "requests", "p50", "p95", "max", box=None)
    for name, values in times.items():
        numbers = (sorted(values)[len(values) // 2], p95(values), max(values))
        table.add_row(name, f"{len(values):,}", *(f"{one:.1f}" for one in numbers))
    console.print(table)


def main() -> int:
    """Measure a shop; the exit status is 0 if all that was promised holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000, help="of each quick page")
    given = parser.parse_args()
    if shutil.which("chromium") is None:
        print("no Chromium here (Debian package chromium)", file=sys.stderr)
        return 2
    with running(None, demo=True) as shop:
        found = asyncio.run(measure(shop, given.requests))
    verdicts(found)
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
