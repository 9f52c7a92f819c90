"""A visit: who is looking at our pages, what their browser keeps for us, and the API they use."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from merkato.chassis.ask import App, Refusal, call
from merkato.chassis.seal import Seal
from merkato.contracts.problem import DependencyUnavailable, UpstreamTimeout

DEADLINE_S = 10.0  # longest wait for an answer of the API
UPLOAD_DEADLINE_S = 60.0  # the same, after a file was sent
EARLY_S = 60.0  # an access token is renewed so long before it ends
SPENT_S = 120.0  # how long it is known what came after a renewed token
ORDERS_MAX = 10  # orders a guest's browser remembers
ANSWERS: deque[tuple[str, int]] = deque(maxlen=2_000)  # path and ms of the API's last ones


class Session(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a browser keeps for us, sealed."""

    csrf: str = ""  # proves that a form is ours
    access: str = ""  # tokens of whoever has logged in
    access_until: float = 0.0  # seconds since 1970
    refresh: str = ""
    name: str = ""
    cart: str = ""  # id of the cart, a guest's with its token
    cart_token: str = ""
    cart_pieces: int = 0
    orders: dict[str, str] = {}  # a guest's orders: id -> token
    locale: str = ""
    theme: str = ""  # light | dark; else as the browser likes it
    notices: list[tuple[str, str]] = []  # (kind, text), shown on the next page

    @property
    def logged_in(self) -> bool:
        """Tell whether there is somebody."""
        return bool(self.refresh)

    def log_out(self) -> None:
        """Forget who it was; locale and theme stay."""
        fresh = Session(locale=self.locale, theme=self.theme)
        for name in self.__struct_fields__:
            setattr(self, name, getattr(fresh, name))

    def remember_order(self, order_id: str, token: str) -> None:
        """Keep a guest's proof of an order, the newest ones only."""
        kept = {**self.orders, order_id: token}
        self.orders = dict(list(kept.items())[-ORDERS_MAX:])


class Sessions:
    """Opens and seals sessions, and renews their access tokens: one renewal at a time for each."""

    def __init__(self, secret: str, cookie: str, api: App) -> None:
        self.cookie = cookie
        self._seal = Seal(secret, cookie)
        self._api = api
        self._renewals: dict[str, asyncio.Task[dict[str, Any] | None]] = {}
        self._spent: dict[str, tuple[float, Session]] = {}  # old refresh token -> what came after

    def open(self, sealed: str | None) -> Session:
        """Open what the browser sent; a new session for anything that is not ours."""
        opened = self._seal.open(sealed) if sealed else None
        try:
            return msgspec.json.decode(opened, type=Session) if opened else Session()
        except msgspec.DecodeError:
            return Session()

    def close(self, session: Session) -> str:
        """Seal a session for the browser."""
        return self._seal.close(msgspec.json.encode(session))

    async def renew(self, session: Session) -> None:
        """Renew an access token that ends soon. Two tabs of one browser share the renewal.

        A slow answer to one tab may put back a cookie from before the renewal that another tab
        began; for SPENT_S that is the same login still, and no stolen token.
        """
        fresh_since = time.monotonic() - SPENT_S
        while (later := self._spent.get(session.refresh)) and later[0] > fresh_since:
            _copy_tokens(later[1], session)
        if not session.refresh or session.access_until - time.time() > EARLY_S:
            return
        old = session.refresh
        task = self._renewals.get(old)
        if task is None:
            task = self._renewals[old] = asyncio.create_task(self._renewed(old))
            task.add_done_callback(lambda _: self._renewals.pop(old, None))
        pair = await asyncio.shield(task)
        if pair is None:
            session.log_out()
        elif pair:
            take_tokens(session, pair)
            self._remember(old, session)

    def _remember(self, old: str, session: Session) -> None:
        """Note what came after a refresh token; forget what was noted too long ago."""
        now = time.monotonic()
        self._spent.setdefault(old, (now, _copy_tokens(session, Session())))
        while now - next(iter(self._spent.values()))[0] > SPENT_S:
            del self._spent[next(iter(self._spent))]

    async def _renewed(self, refresh: str) -> dict[str, Any] | None:
        """Give new tokens, None when the login has ended, nothing when nobody answers."""
        body = {"refresh_token": refresh}
        try:
            answer = await Api(self._api).send("POST", "/api/v1/auth/token/refresh", body)
        except Refusal as refusal:
            return None if refusal.status == 401 else {}
        except (DependencyUnavailable, UpstreamTimeout):
            return {}
        tokens: dict[str, Any] = answer
        return tokens


def _copy_tokens(source: Session, target: Session) -> Session:
    target.access, target.refresh = source.access, source.refresh
    target.access_until = source.access_until
    return target


def take_tokens(session: Session, pair: Mapping[str, Any]) -> None:
    """Keep the tokens of a login."""
    session.access = pair["access_token"]
    session.access_until = time.time() + pair["expires_in"]
    session.refresh = pair["refresh_token"]


class Api:
    """The shop's published API, as its customer uses it."""

    def __init__(self, app: App, session: Session | None = None, address: str = "") -> None:
        self._app = app
        self._session = session or Session()
        self._address = address

    async def get(self, path: str, **query: Any) -> Any:
        """Read. What is None in the query is left out. Raises as `send` does."""
        given = {name.replace("__", "."): value for name, value in query.items()}
        wanted = {name: _text(value) for name, value in given.items() if value is not None}
        text = urlencode(wanted, doseq=True)
        return await self.send("GET", f"{path}?{text}" if text else path)

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request and decode the answer.

        Raises Refusal for 4xx, DependencyUnavailable and UpstreamTimeout when there is none.
        """
        answer, _ = await self.exchange(method, path, body, key=key, headers=headers)
        return answer

    async def exchange(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Any, dict[str, str]]:
        """Send a request; give the answer and its headers."""
        content = b"" if body is None else msgspec.json.encode(body)
        sent = self._headers(path, content) | dict(headers or {})
        if key:
            sent["idempotency-key"] = key
        return await self._answered(method, path, sent, content, DEADLINE_S)

    async def upload(
        self, path: str, content: bytes, media_type: str, *, key: str | None = None
    ) -> tuple[Any, dict[str, str]]:
        """Send a file as it is; give the answer and its headers. Raises as `send` does."""
        sent = self._headers(path, content) | {"content-type": media_type}
        if key:
            sent["idempotency-key"] = key
        return await self._answered("POST", path, sent, content, UPLOAD_DEADLINE_S)

    async def download(self, path: str) -> tuple[dict[str, str], AsyncIterator[bytes]]:
        """Give the headers of a file, and its parts as they come. Raises as `send` does."""
        sent = [(name.encode(), value.encode()) for name, value in self._headers(path, b"").items()]
        file = _File(self._app)
        task = asyncio.create_task(file.fetch(path, sent))
        try:
            async with asyncio.timeout(DEADLINE_S):
                headers = await file.began
        except TimeoutError as late:
            task.cancel()
            raise UpstreamTimeout("The shop did not answer in time.") from late
        return headers, _parts(task, file.parts)

    async def _answered(
        self, method: str, path: str, sent: Mapping[str, str], content: bytes, deadline_s: float
    ) -> tuple[Any, dict[str, str]]:
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        found: dict[str, str] = {}
        began = time.perf_counter()
        try:
            async with asyncio.timeout(deadline_s):
                status, answer = await call(
                    _noting(self._app, found), method, path, raw, content, inside=True
                )
        except TimeoutError as late:
            raise UpstreamTimeout("The shop did not answer in time.") from late
        ANSWERS.append((path, round((time.perf_counter() - began) * 1_000)))
        _check(status, answer)
        return msgspec.json.decode(answer or b"null"), found

    async def told(self, path: str) -> Any:
        """Read a page outside the API, such as /readyz, whatever its status."""
        async with asyncio.timeout(DEADLINE_S):
            _, answer = await call(self._app, "GET", path, [])
        return msgspec.json.decode(answer)

    def _headers(self, path: str, content: bytes) -> dict[str, str]:
        session = self._session
        sent = {"content-length": str(len(content))}
        if content:
            sent["content-type"] = "application/json"
        if session.access:
            sent["authorization"] = f"Bearer {session.access}"
        if session.cart_token:
            sent["x-cart-token"] = session.cart_token
        for order_id, token in session.orders.items():
            if order_id in path or order_id.encode() in content:
                sent["x-order-token"] = token
        if self._address:
            sent["x-forwarded-for"] = self._address
        return sent


def _check(status: int, answer: bytes) -> None:
    if status >= 500:
        raise DependencyUnavailable("A part of the shop does not answer.")
    if status >= 400:
        raise Refusal(status, msgspec.json.decode(answer, type=dict[str, Any]))


class _File:
    """A file on its way from the API: its headers once they are there, then its parts."""

    def __init__(self, app: App) -> None:
        self.began: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue(
            maxsize=4
        )  # slow readers: waited for
        self._app, self._status, self._refused = app, 500, b""

    async def fetch(self, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Fetch it to its end. What refuses or breaks it is raised by `began`, or here."""
        broken = None
        try:
            await call(self._taking, "GET", path, headers, inside=True)
            _check(self._status, self._refused)
        except Exception as error:
            if not self.began.done():
                self.began.set_exception(error)
                return
            broken = error
        await self.parts.put(None)
        if broken is not None:
            raise broken

    async def _taking(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            await self._take(message)
            await send({**message, "body": b""})  # parts are not gathered

        await self._app(scope, receive, sending)

    async def _take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            pairs = message["headers"]
            if self._status < 400:
                found = {name.decode().lower(): value.decode() for name, value in pairs}
                self.began.set_result(found)
        elif self._status >= 400:
            self._refused += message.get("body", b"")
        elif part := message.get("body", b""):
            await self.parts.put(part)


async def _parts(
    task: asyncio.Task[None], parts: asyncio.Queue[bytes | None]
) -> AsyncIterator[bytes]:
    try:
        while (part := await parts.get()) is not None:
            yield part
        await task  # raises what broke a file off: the reader must not take it for whole
    finally:
        task.cancel()


def _noting(app: App, found: dict[str, str]) -> App:
    """Note an answer's headers on its way."""

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                pairs = message["headers"]
                found.update((name.decode().lower(), value.decode()) for name, value in pairs)
            await send(message)

        await app(scope, receive, sending)

    return noting


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def segment(text: str) -> str:
    """Make of a text one segment of a path, whatever is in it."""
    return quote(text, safe="")


def new_csrf() -> str:
    """Make the secret of a session's forms."""
    return secrets.token_hex(16)


def masked(secret: str) -> str:
    """Show a secret so that it never looks the same twice (against BREACH)."""
    mask = secrets.token_bytes(16)
    return (mask + bytes(a ^ b for a, b in zip(mask, bytes.fromhex(secret), strict=True))).hex()


def is_masked(shown: str, secret: str) -> bool:
    """Tell whether `shown` is a masked `secret`."""
    try:
        raw = bytes.fromhex(shown)
        plain = bytes(a ^ b for a, b in zip(raw[:16], raw[16:], strict=True))
        return len(plain) == 16 and secrets.compare_digest(plain, bytes.fromhex(secret))
    except ValueError:
        return False
