"""No way in through the side: nothing forbidden is saved or sent to, and nothing of ours is met."""

import asyncio
import socket
import ssl
import threading
from ipaddress import ip_address, ip_network

import harness
import pytest
from hypothesis import given
from hypothesis import strategies as st
from receiver import counting, receiving
from service.test_broker_log import ADMIN, stock
from webhook_desk import KEYS, PATH, deliveries, delivering, logged, subscribe

from merkato import topology
from merkato.broker.domain.addresses import Rules, forbidden, read
from merkato.broker.providers.post import Post, Resolver
from merkato.config import Broker, Config
from merkato.contracts.problem import Validation

HOSTS = [  # G14: every literal spelling of what is ours
    "127.0.0.1", "127.1", "0", "0.0.0.0", "0x7f.1", "0x7f000001", "2130706433", "017700000001",
    "0177.0.0.1", "127.0.0.1.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::1]", "[::127.0.0.1]",
    "169.254.169.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
    "[fc00::1]", "[fd12::1]", "[fe80::1]", "[fe80::1%25eth0]", "[ff02::1]", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.7", "240.0.0.1",
    "192.0.0.8", "[2001:db8::1]", "[100::1]", "1.2.3.4.5", "256.1.1.1", "1.2.3", "0x", "08.8.8.8",
]  # fmt: skip
NAMES = [  # G15
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "db.internal",
    "postgres", "nats", "gateway", "orders.svc", "orders.default.svc", "x.home.arpa", "①②⑦.0.0.1",
    "127。0。0。1", "ｌocalhost", "exämple.org", "a..b", "-a.org", "a_b.org", "a" * 64 + ".org",
]  # fmt: skip
FORMS = [  # G18, G19
    "file:///etc/passwd", "gopher://example.org/", "ftp://example.org/", "dict://example.org:11111/",
    "http://example.org/", "https://example.org:22/", "https://example.org:4222/",
    "https://example.org:5432/", "https://example.org:6379/", "https://example.org:25/",
    "https://example.org:0/", "https://example.org:99999/", "https://example.org:443x/",
    "https://good@127.0.0.1/", "https://127.0.0.1@example.org/", "https://u:p@example.org/",
    "https://127.0.0.1#@example.org/", "https://example.org#x", "https://example.org\\@127.0.0.1/",
    "https:\\\\127.0.0.1/", "https://exa%2fmple.org/", "https://127.0.0.1%2f@example.org/",
    "https://example.org/\r\nHost: x", "https://example.org/a b", "https://example.org/\ta",
    "https:///example.org", "https://", "//example.org/", "example.org", "javascript:alert(1)",
    "https://[::1", "https://::1/", "https://example.org:443:80/", "https://example.org/\u00e4",
    " https://example.org/", "https://example.org/ ", "https://example.org/" + "x" * 2_000,
]  # fmt: skip
BAD = [*(f"https://{one}/hook" for one in (*HOSTS, *NAMES)), *FORMS]


def service(**more):
    config = Config(here=("gateway",), broker=Broker(secret_keys=KEYS, **more))
    return topology.services(config)["broker"]


@pytest.fixture
async def broker(new_database):
    """As in production: https, few ports, no network of ours."""
    async with harness.alone(service(), new_database) as alone:
        yield alone


async def test_what_leads_to_us_cannot_be_saved(broker):
    for url in BAD:
        answer = await broker.request("POST", PATH, {"url": url}, token=ADMIN)
        assert answer.status == 422, (url, answer)
        assert answer.json()["errors"][0]["pointer"] == "/url", url
    assert await broker.fetch("select from subscriptions") == []


def test_the_usual_address_is_fine():
    for url in (
        "https://example.org/hook", "https://api.example.org:8443/a/b?c=d&e=%2f", "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/hook", "https://xn--exmple-cua.org",
    ):  # fmt: skip
        assert read(url, Rules()).host


class Names(Resolver):
    """Whoever answers for names outside of us, as an attacker would like it; in turn."""

    def __init__(self, rules, *answers):
        super().__init__(rules)
        self.answers = list(answers)

    async def addresses(self, host, port):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


PLAIN = Rules(schemes=frozenset({"http", "https"}), ports=None)  # only addresses decide


async def sent(post, url):
    async with post.opened():
        return await post.send(url, {}, b"{}")


PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"],
        [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], ["fe80::1%eth0"], [],
    ],
)  # fmt: skip
async def test_a_name_with_one_forbidden_address_is_refused_at_saving_and_at_sending(answers):
    async with counting() as (met, port):
        post = Post(PLAIN, concurrency=4, resolver=Names(PLAIN, answers))
        url = f"http://rebind.example.org:{port}/hook"
        with pytest.raises(Validation):
            await post.check(url)
        answer = await sent(post, url)
        assert (answer.status, answer.error) == (None, "this address is not allowed")
        assert met.connections == 0


async def test_a_name_that_moves_to_us_between_check_and_sending_meets_nobody():
    async with counting() as (met, port):
        post = Post(PLAIN, concurrency=4, resolver=Names(PLAIN, [PUBLIC], ["127.0.0.1"]))
        url = f"http://rebind.example.org:{port}/hook"
        await post.check(url)
        answer = await sent(post, url)
        assert answer.error == "this address is not allowed"
        assert met.connections == 0


async def test_what_is_connected_to_is_what_was_judged():
    """The name is looked up once per connection; a second answer would not be used."""
    loopback = Rules(schemes=PLAIN.schemes, ports=None, networks=(ip_network("127.0.0.1/32"),))
    async with receiving() as receiver, counting("127.0.0.2") as (met, _):
        names = Names(loopback, ["127.0.0.1"], ["127.0.0.2"])
        post = Post(loopback, concurrency=4, resolver=names)
        answer = await sent(post, f"http://moving.example.org:{receiver.port}/hook")
        assert answer.status == 200
        assert met.connections == 0


async def test_a_name_server_that_does_not_answer_holds_up_no_other_look_up(monkeypatch):
    asked, system, answered = [], socket.getaddrinfo, threading.Event()

    def getaddrinfo(host, *rest, **more):
        if host != "hanging.example.org":
            return system(host, *rest, **more)
        asked.append(host)
        answered.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    names = Resolver(PLAIN)
    tries = [asyncio.create_task(names.addresses("hanging.example.org", 443)) for _ in range(100)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await names.addresses("localhost", 443)
            assert await asyncio.get_running_loop().getaddrinfo("localhost", 443)
        tries[0].cancel()
    finally:
        answered.set()
    given_up, *failed = await asyncio.gather(*tries, return_exceptions=True)
    assert isinstance(given_up, asyncio.CancelledError)
    assert {type(one) for one in failed} == {socket.gaierror}
    assert asked == ["hanging.example.org"]


def own_addresses():
    """Addresses of this machine that are none of the public internet."""
    found = {"127.0.0.1", "127.0.0.2", "::1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
            found.add(probe.getsockname()[0])
        except OSError:
            pass
    return [one for one in sorted(found) if forbidden(ip_address(one))]


@pytest.mark.parametrize("host", own_addresses())
async def test_nothing_reaches_a_forbidden_listener(broker, host):
    """Even an address that stands in the table already, as if it had been saved before."""
    try:
        async with counting(host) as (met, port):
            literal = f"[{host}]" if ":" in host else host
            urls = [f"{scheme}://{literal}:{port}/hook" for scheme in ("http", "https")]
            async with receiving() as receiver:
                async with broker.db.transaction() as tx:
                    for url in urls:
                        await tx.execute(
                            "insert into subscriptions (id, url, description, topics, ordered, "
                            "secret, began, position, created_by) "
                            "values (uuidv7(), $1, '', '{}', false, $2, 0, 0, 'test')",
                            url, sealed(),
                        )  # fmt: skip
                receiver.answers = [200]
                await logged(broker, stock(1))
                async with delivering(broker):

                    async def tried():
                        rows = await broker.fetch("select reason from deliveries")
                        return [row["reason"] for row in rows if row["reason"]] if rows else None

                    async def all_tried():
                        found = await tried()
                        return found if found and len(found) == 2 else None

                    reasons = await harness.eventually(all_tried)
            assert reasons == ["this address is not allowed"] * 2
            post = Post(PLAIN, concurrency=4)  # any scheme and port: the address alone decides
            for url in urls:
                assert (await sent(post, url)).error == "this address is not allowed"
            await asyncio.sleep(0.1)
            assert met.connections == 0
    except OSError as error:
        pytest.skip(f"this machine has no {host} to listen on: {error}")


def sealed():
    from merkato.chassis.vault import Vault

    return Vault(KEYS, "test").seal(b"x" * 32)


async def test_redirections_and_proxies_lead_nowhere(new_database, monkeypatch):
    config = Config(here=("gateway",), environment="development", broker=Broker(secret_keys=KEYS))
    made = topology.services(config)["broker"]
    async with (
        harness.alone(made, new_database) as broker, receiving() as receiver,
        counting() as (met, port),
    ):  # fmt: skip
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        statuses = (301, 302, 303, 307, 308)

        def moved(status):
            async def answer(request):
                from aiohttp import web

                return web.Response(
                    status=status,
                    headers={
                        "Location": f"http://127.0.0.1:{port}/", "Set-Cookie": "a=b; Path=/",
                    },
                )  # fmt: skip

            return answer

        receiver.answers = [*map(moved, statuses), 200]
        id = await subscribe(broker, receiver)
        async with delivering(broker):
            for n, status in enumerate(statuses, 1):
                await logged(broker, stock(n))

                async def tried(n=n):
                    return len(receiver.got) == n

                await harness.eventually(tried)

                async def noted(status=status):
                    found = await deliveries(broker, id)
                    return [one for one in found if one["reason"] == f"answered {status}"]

                await harness.eventually(noted)
                async with broker.db.transaction() as tx:
                    await tx.execute("update subscriptions set failures = 0, open_until = null")
        assert met.connections == 0
        assert not any("Cookie" in headers for headers, _ in receiver.got)


async def test_the_answer_of_an_endpoint_is_shown_to_nobody(new_database):
    """A ping is no way to read what stands behind an address, nor which ports are open."""
    config = Config(here=("gateway",), environment="development", broker=Broker(secret_keys=KEYS))
    made = topology.services(config)["broker"]
    async with harness.alone(made, new_database) as broker, receiving() as receiver:

        async def secretive(request):
            from aiohttp import web

            return web.Response(status=500, text="canary-in-body", headers={"X-Canary": "canary"})

        receiver.answers = [secretive]
        id = await subscribe(broker, receiver)
        async with delivering(broker):
            answer = await broker.request("POST", f"{PATH}/{id}/ping", token=ADMIN)
            assert answer.status == 202

            async def failed():
                return await deliveries(broker, id, "state=failed")

            [one] = await harness.eventually(failed)
        told = await broker.request("GET", f"/api/v1/deliveries/{one['id']}", token=ADMIN)
        assert b"canary" not in told.body
        for table in ("deliveries", "attempts", "subscriptions"):
            for row in await broker.fetch(f"select t::text from {table} t"):
                assert "canary" not in row["t"]
        answers = set()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nowhere = closed.getsockname()[1]
            post = Post(Rules(schemes=PLAIN.schemes, ports=None,
                              networks=(ip_network("127.0.0.0/8"),)), concurrency=4)  # fmt: skip
            async with counting() as (_, silent):
                for port in (nowhere, silent):
                    answers.add((await sent(post, f"http://127.0.0.1:{port}/")).error)
        assert answers == {"no valid answer"}


async def test_a_certificate_must_be_valid():
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
    loopback = Rules(schemes=PLAIN.schemes, ports=None, networks=(ip_network("127.0.0.0/8"),))
    async with receiving() as receiver:  # speaks no TLS at all
        post = Post(loopback, concurrency=4)
        answer = await sent(post, f"https://127.0.0.1:{receiver.port}/hook")
        assert answer.status is None
        assert answer.error
        assert receiver.got == []


@given(st.ip_addresses(v=4))
def test_no_special_address_of_version_4_is_allowed(address):
    if not address.is_global or address.is_multicast:
        assert forbidden(address)
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert forbidden(ip_address(wrapped))


@given(st.ip_addresses(v=6))
def test_no_special_address_of_version_6_is_allowed(address):
    if not address.is_global or address.is_multicast or address.ipv4_mapped or address.sixtofour:
        assert forbidden(address)


@given(st.text(min_size=1, max_size=40))
def test_whatever_is_read_has_one_reading(rest):
    from yarl import URL

    try:
        target = read(f"https://{rest}", Rules())
    except Validation:
        return
    url = URL(f"https://{rest}", encoded=True)
    assert url.raw_host == target.host.strip("[]")
    assert (url.port, url.user, url.fragment) == (target.port, None, "")
