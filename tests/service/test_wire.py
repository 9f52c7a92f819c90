"""Requests that could be read in two ways, sent to a real server: one answer, and the end of it."""

import asyncio

import msgspec
import pytest
import uvicorn

from merkato.chassis import wire

BODY = b'{"a": 1}'
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /seen HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = BODY + b"\r\n0\r\n\r\n"
CHUNKS = b"8\r\n" + BODY + b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
async def server():
    """A server that answers 200 to everything and remembers what it was asked."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["path"])
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    settings = uvicorn.Config(
        app, port=0, http=wire.Wire, ws="none", lifespan="off", log_config=None
    )
    running = uvicorn.Server(settings)
    running.capture_signals = asyncio.timeout_at  # signals are pytest's
    task = asyncio.create_task(_serve(running))
    async with asyncio.timeout(10):
        while not running.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    running.seen = seen
    running.number = running.servers[0].sockets[0].getsockname()[1]
    yield running
    running.should_exit = True
    await task


async def _serve(running):
    running.config.load()
    running.lifespan = running.config.lifespan_class(running.config)
    await running.startup()
    await running.main_loop()
    await running.shutdown()


async def sent(server, *parts, pause=0.0):
    """Send bytes, give all that comes back until the server has nothing more to say."""
    server.seen.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.number)
    answer = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(1.0):
            while got := await reader.read(65_536):
                answer += got
    except TimeoutError:
        answer += b"(open)"
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answer


AMBIGUOUS = {
    "two lengths": POST + b"Content-Length: 8\r\nContent-Length: 0\r\n\r\n" + BODY,
    "two equal lengths": POST + b"Content-Length: 8\r\nContent-Length: 8\r\n\r\n" + BODY,
    "a list of lengths": POST + b"Content-Length: 8, 8\r\n\r\n" + BODY,
    "length and chunks": POST + b"Content-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 8\r\n\r\n" + CHUNKS,
    "chunked twice": POST + 2 * b"Transfer-Encoding: chunked\r\n" + b"\r\n" + CHUNKS,
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "identity, chunked": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n" + CHUNKS,
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "space before colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "chunked in 1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKS,
    "folded": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "folded field": POST + b"X-A: 1\r\n b\r\nContent-Length: 8\r\n\r\n" + BODY,
    "plus": POST + b"Content-Length: +8\r\n\r\n" + BODY,
    "negative": POST + b"Content-Length: -8\r\n\r\n" + BODY,
    "underscore": POST + b"Content-Length: 0_8\r\n\r\n" + BODY,
    "hexadecimal": POST + b"Content-Length: 0x8\r\n\r\n" + BODY,
    "empty length": POST + b"Content-Length: \r\n\r\n",
    "endless length": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "bare line feeds": b"POST /seen HTTP/1.1\nHost: x\nContent-Length: 8\n\n" + BODY,
    "chunk size with plus": CHUNKED + b"+8\r\n" + END,
    "chunk size with underscore": CHUNKED + b"0_8\r\n" + END,
    "chunk size 0x": CHUNKED + b"0x8\r\n" + END,
    "chunk ended by LF": CHUNKED + b"8\n" + END,
    "chunk extension with LF": CHUNKED + b"8;a\nb\r\n" + END,
    "chunk too long": CHUNKED + b"4\r\n" + END,
    "no host": b"GET /seen HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /seen HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "host with a path": b"GET /seen HTTP/1.1\r\nHost: a/abc?x=\r\n\r\n",
    "host with a user": b"GET /seen HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "host with a port too large": b"GET /seen HTTP/1.1\r\nHost: a:99999\r\n\r\n",
    "empty host": b"GET /seen HTTP/1.1\r\nHost: \r\n\r\n",
    "absolute target": b"GET http://x/seen HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "authority": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET /seen HTTP/1.2\r\nHost: x\r\n\r\n",
    "lower case method": b"get /seen HTTP/1.1\r\nHost: x\r\n\r\n",
    "space in the target": b"GET /seen /x HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a field": b"GET /seen HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "CR in a field": b"GET /seen HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n",
    "a field without a name": b"GET /seen HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_a_request_with_two_meanings_is_refused(server, name):
    answer = await sent(server, AMBIGUOUS[name] + NEXT)
    assert "/smuggled" not in server.seen, name
    assert len(server.seen) <= 1
    assert answer.startswith(b"HTTP/1.1 400 "), (name, answer)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not answer.endswith(b"(open)")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert msgspec.json.decode(body)["type"] == "/problems/malformed"


async def test_requests_with_one_meaning_are_answered(server):
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS
    sized = POST + b"Content-Length: 8\r\n\r\n" + BODY
    answer = await sent(server, chunked + sized + b"GET /last HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 3, answer
    assert server.seen == ["/seen", "/seen", "/last"]
    old = await sent(server, b"GET /old HTTP/1.0\r\n\r\n")
    assert b" 200 " in old


async def test_heads_have_a_size(server):
    get = b"GET /seen HTTP/1.1\r\nHost: x\r\n"
    many = get + b"".join(b"X-%d: 1\r\n" % n for n in range(1_000)) + b"\r\n"
    assert (await sent(server, many)).startswith(b"HTTP/1.1 431 ")
    assert (await sent(server, get + b"X-A: " + b"x" * 70_000 + b"\r\n\r\n")).startswith(
        b"HTTP/1.1 431 "
    )
    endless = [get, *[b"X-A: " + b"x" * 32_000] * 40]
    answer = await sent(server, *endless)  # whoever still sends may not see the answer
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    long = b"GET /" + b"x" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    assert (await sent(server, long)).startswith(b"HTTP/1.1 414 ")
    assert server.seen == []


async def test_only_the_known_expectation_is_met(server):
    refused = await sent(server, POST + b"Expect: 200-ok\r\nContent-Length: 8\r\n\r\n" + BODY)
    assert refused.startswith(b"HTTP/1.1 417 ")
    met = await sent(
        server, POST + b"Expect: 100-continue\r\nContent-Length: 8\r\n\r\n", BODY, pause=0.1
    )
    assert b"HTTP/1.1 200 " in met


async def test_a_head_must_arrive_in_time(server, monkeypatch):
    monkeypatch.setattr(wire, "HEAD_S", 0.2)
    monkeypatch.setattr(wire, "SWEEP_S", 0.05)
    watching = asyncio.create_task(wire.watch(server.server_state.connections))
    try:
        late = await sent(server, b"GET /seen HTTP/1.1\r\n", b"Host: x\r\n", pause=0.3)
        assert late.startswith(b"HTTP/1.1 408 "), late
        silent = await sent(server, b"", pause=0.4)
        assert silent == b""
        fine = await sent(server, b"GET /seen HTTP/1.1\r\nHost: x\r\n\r\n", pause=0.4)
        assert b" 200 " in fine
        assert fine.endswith(b"(open)")
    finally:
        watching.cancel()
