"""The frame of a service that answers with pages: sessions, forms, safe headers, files, errors.

Forms are protected twice against other sites (OWASP CSRF prevention): by a token in each form, and
by where the browser says the request comes from. Nothing here needs JavaScript.
"""

import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from multipart import MultipartParser, parse_options_header

from merkato.chassis.allowance import Allowance, Allowances
from merkato.chassis.ask import App, Refusal
from merkato.chassis.edge import answer_bytes, edge
from merkato.chassis.http import Routes, bound, policies
from merkato.chassis.visit import Api, Session, Sessions, is_masked, new_csrf
from merkato.contracts.problem import Problem, Unauthenticated

log = structlog.get_logger()

FIELDS_MAX = 500  # of a form
WITH_FILES = "multipart/form-data"
FORM_MAX_BYTES = 40 * 1024 * 1024  # of the largest form with files; a door before us lets it pass
WORTH_PACKING = 800  # bytes
YEAR_S = 31_536_000
COOKIE_S = 30 * 86_400  # as long as a login lives
SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; manifest-src 'self'; "
        "frame-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
TYPES = {
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml", "png": "image/png", "webmanifest": "application/manifest+json",
}  # fmt: skip


class Upload(msgspec.Struct, frozen=True):
    """A file of a form, whole."""

    name: str  # as the browser calls it; may be empty
    content: bytes


def uploads(most: int) -> Allowance:
    """Let a route of pages take forms with files, so many bytes in all; see Visit.files."""
    assert most <= FORM_MAX_BYTES, "no door lets it pass"
    return Allowance(body_max_bytes=most, media_types=(WITH_FILES,), streamed=True)


class Visit:
    """One request for a page."""

    def __init__(self, session: Session, api: Api, locale: str, scope: Any) -> None:
        self.session, self.api, self.locale = session, api, locale
        self.form: dict[str, str] = {}
        self.fields: list[tuple[str, str]] = []  # of the form, names may repeat
        self.files: dict[str, Upload] = {}  # of a form that comes with files
        query = scope["query_string"].decode("latin-1")
        self.path: str = scope["path"] + (f"?{query}" if query else "")

    def notice(self, text: str, kind: str = "good") -> None:
        """Say something on the next page; kind: good, bad."""
        self.session.notices = [*self.session.notices, (kind, text)]

    def take_notices(self) -> list[tuple[str, str]]:
        """Give what is to be said, once."""
        said, self.session.notices = self.session.notices, []
        return said

    @property
    def csrf(self) -> str:
        """Give the session's secret, making it when it is needed first."""
        if not self.session.csrf:
            self.session.csrf = new_csrf()
        return self.session.csrf


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """What a service of pages declares; package `merkato.<name>` holds its static files."""

    name: str
    prefixes: Sequence[str]  # "/" answers whatever nobody else does
    routes: Routes
    locales: Sequence[str]  # the first one is for those who ask for none of them
    failed: Callable[[Visit, int, str, str], Response[str]]  # draws status, slug, detail
    cookie_path: str = "/"
    provides: Mapping[str, object] = {}


class Assets:
    """The static files of a service under names that change with their content."""

    def __init__(self, name: str) -> None:
        self.root = f"/static/{name}/"
        self._urls: dict[str, str] = {}
        self._files: dict[str, tuple[bytes, bytes, str]] = {}
        for package in ("merkato.chassis", f"merkato.{name}"):
            folder = files(package).joinpath("static")
            if folder.is_dir():
                for entry in folder.iterdir():
                    self._add(entry.name, entry.read_bytes())

    def _add(self, name: str, body: bytes) -> None:
        stem, _, kind = name.rpartition(".")
        digest = hashlib.sha256(body).hexdigest()[:12]
        url = f"{self.root}{stem}-{digest}.{kind}"
        self._urls[name] = url
        self._files[url] = (body, gzip.compress(body, 9, mtime=0), TYPES[kind])

    def url(self, name: str) -> str:
        """Give where a file is served. Raises KeyError for a file that is not there."""
        return self._urls[name]

    async def answer(self, scope: Any, send: Any) -> bool:
        """Answer with a file; False when the address is none of ours."""
        found = self._files.get(scope["path"])
        if found is None:
            return False
        body, packed, kind = found
        extra = [(b"cache-control", f"public, max-age={YEAR_S}, immutable".encode())]
        if _takes_gzip(scope):
            body, extra = packed, [*extra, (b"content-encoding", b"gzip")]
        extra += [(b"vary", b"accept-encoding"), (b"x-content-type-options", b"nosniff")]
        await answer_bytes(200, body, kind.encode(), send, extra)
        return True


EXPIRED = (403, "form-expired")


class Stranger(Exception):
    """A form that did not come from our pages, or whose session is over."""


def web_app(web: Web, api: App, secret: str, assets: Assets, *, secure: bool) -> App:
    """Build the ASGI app of a service of pages. `api` answers /api/v1; `secure`: HTTPS only."""
    policies(web.routes)
    cookie = f"{'__Host-' if secure and web.cookie_path == '/' else ''}merkato_{web.name}"
    sessions = Sessions(secret, cookie, api)
    allowances = Allowances(web.routes)

    async def visiting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or await assets.answer(scope, send):
            return
        session = sessions.open(_cookies(scope).get(cookie))
        before = msgspec.json.encode(session)
        await sessions.renew(session)
        locale = _locale(scope, session, web.locales)
        visit = Visit(session, Api(api, session, _address(scope)), locale, scope)
        scope["visit"] = visit

        def changed() -> bytes | None:
            if msgspec.json.encode(session) == before:
                return None
            return _set_cookie(cookie, sessions.close(session), web.cookie_path, secure=secure)

        try:
            if scope["method"] == "POST":
                taken = allowances.of("POST", scope["path"]).media_types
                receive = await _read_form(scope, receive, visit, files=WITH_FILES in taken)
            await inner(scope, receive, _dressed(scope, send, changed))
        except (Stranger, Problem) as refused:
            told = (refused.status, refused.slug) if isinstance(refused, Problem) else EXPIRED
            drawn = web.failed(visit, *told, str(refused))
            asgi = drawn.to_asgi_response(None, Request(scope))
            await asgi(scope, receive, _dressed(scope, send, changed))

    inner = _application(web)

    async def ready() -> dict[str, str]:
        return {}

    return edge(web.name, visiting, ready, allowances)


def _application(web: Web) -> App:
    def visit_of(request: Request[Any, Any, Any]) -> Visit:
        visit: Visit = request.scope["visit"]  # type: ignore[typeddict-item]
        return visit

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
        visit = visit_of(request)
        match error:
            case Refusal():
                detail = str(error.problem.get("detail", ""))
                return web.failed(visit, error.status, error.slug, detail)
            case Problem():
                return web.failed(visit, error.status, error.slug, error.detail)
            case HTTPException() if error.status_code < 500:
                slug = "not-found" if error.status_code == 404 else "malformed"
                return web.failed(visit, error.status_code, slug, "")
        log.error("bug", exc_info=error)
        return web.failed(visit, 500, "internal-error", "")

    return Litestar(
        route_handlers=[bound(route, web.provides) for route in web.routes],
        dependencies={"visit": Provide(visit_of, sync_to_thread=False)},
        exception_handlers={
            Refusal: failed, Problem: failed, HTTPException: failed, Exception: failed,
        },
        openapi_config=None,
        logging_config=None,
    )  # fmt: skip


def see_other(path: str) -> Response[str]:
    """Send the browser on after a form (RFC 9110, 15.4.4)."""
    return Response("", status_code=303, headers={"Location": path}, media_type="text/html")


def local(path: str | None, otherwise: str) -> str:
    """Give a path to go on to if it is one of this site, else `otherwise`."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path:
        return otherwise
    return path if path.isprintable() and not urlsplit(path).netloc else otherwise


async def _read_form(scope: Any, receive: Any, visit: Visit, *, files: bool) -> Any:
    """Read and check a form, with files if the route takes them.

    Raises Stranger unless it is from a page of ours, Unauthenticated for files of nobody.
    """
    headers = dict(scope["headers"])
    site = headers.get(b"sec-fetch-site", b"same-origin")
    if site not in (b"same-origin", b"none"):
        raise Stranger("This form came from another site.")
    kind, options = parse_options_header(headers.get(b"content-type", b"").decode("latin-1"))
    if kind != (WITH_FILES if files else "application/x-www-form-urlencoded"):
        raise Stranger("This is not a form of ours.")
    if files and not visit.session.logged_in:
        raise Unauthenticated("Log in first.")  # strangers' files are not even read
    body = await _whole(receive)
    try:
        if files:
            visit.fields, visit.files = form_parts(body, options.get("boundary", ""))
        else:
            visit.fields = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
            )
    except ValueError as error:
        raise Stranger("This form cannot be read.") from error
    visit.form = {name: value.replace("\x00", "").strip() for name, value in visit.fields}
    if not is_ours(visit, visit.form.pop("csrf", "")):
        raise Stranger("This page was open for too long.")
    return receive


async def _whole(receive: Any) -> bytes:
    """Read a body whole; the edge has seen that it is not too long."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def form_parts(body: bytes, boundary: str) -> tuple[list[tuple[str, str]], dict[str, Upload]]:
    """Take a form with files apart (RFC 7578): its fields, and its files by name."""
    fields: list[tuple[str, str]] = []
    found: dict[str, Upload] = {}
    most = max(1, len(body))
    parser = MultipartParser(
        BytesIO(body), boundary, part_limit=FIELDS_MAX, spool_limit=most, memory_limit=most
    )
    for part in parser:
        if part.filename is None:
            fields.append((part.name, part.value))
        else:
            found[part.name] = Upload(part.filename, part.raw)
    return fields, found


def is_ours(visit: Visit, token: str) -> bool:
    """Tell whether a form's token belongs to this session."""
    return bool(visit.session.csrf) and is_masked(token, visit.session.csrf)


def _dressed(scope: Any, send: Any, changed: Callable[[], bytes | None]) -> Any:
    """Add what every page is sent with, and pack it."""
    held: Any = None

    async def sending(message: Any) -> None:
        nonlocal held
        if message["type"] == "http.response.start":
            held = message
            return
        if held is not None:
            start, held = held, None
            headers = [*start.get("headers", [])]
            body = message.get("body", b"")
            packable = not message.get("more_body") and len(body) > WORTH_PACKING
            if packable and _takes_gzip(scope) and _is_text(headers):
                body = gzip.compress(body, 5, mtime=0)
                message = {**message, "body": body}
                headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
                headers += [(b"content-encoding", b"gzip")]
                headers += [(b"content-length", str(len(body)).encode())]
            await send({**start, "headers": headers + _extra(headers, changed())})
        await send(message)

    return sending


def _extra(headers: list[tuple[bytes, bytes]], cookie: bytes | None) -> list[tuple[bytes, bytes]]:
    own = {name.lower() for name, _ in headers}  # a route may be stricter
    safe = [(name.lower().encode(), value.encode()) for name, value in SAFE.items()]
    extra = [(name, value) for name, value in safe if name not in own]
    if b"cache-control" not in own:
        extra.append((b"cache-control", b"private, no-cache"))
    extra.append((b"vary", b"Accept-Encoding, Accept-Language, Cookie"))
    if cookie is not None:
        extra.append((b"set-cookie", cookie))
    return extra


def _is_text(headers: list[tuple[bytes, bytes]]) -> bool:
    kinds = [value for name, value in headers if name.lower() == b"content-type"]
    return bool(kinds) and kinds[0].startswith((b"text/", b"image/svg"))


def _takes_gzip(scope: Any) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


def _set_cookie(name: str, value: str, path: str, *, secure: bool) -> bytes:
    tail = "; Secure" if secure else ""
    return (
        f"{name}={value}; Path={path}; Max-Age={COOKIE_S}; HttpOnly; SameSite=Lax{tail}"
    ).encode()


def _cookies(scope: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, text = pair.strip().partition("=")
                found.setdefault(key, text)
    return found


def _address(scope: Any) -> str:
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":  # of the gateway: it drops what others claim
            return str(value.decode("latin-1"))
    client = scope.get("client")
    return client[0] if client else ""


def _locale(scope: Any, session: Session, known: Sequence[str]) -> str:
    """Choose the locale of a visit: as chosen before, else the browser's favourite we know."""
    if session.locale in known:
        return session.locale
    wishes = []
    for name, value in scope["headers"]:
        if name == b"accept-language":
            for n, part in enumerate(value.decode("latin-1").split(",")[:20]):
                tag, _, weight = part.strip().partition(";q=")
                wishes.append((-_weight(weight), n, tag.partition("-")[0].lower()))
    liked = (tag for weight, _, tag in sorted(wishes) if weight < 0 and tag in known)
    return next(liked, known[0])


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0
