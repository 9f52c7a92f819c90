"""The mailbox over HTTP: JSON for programs under /api, pages for people."""

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from html import escape
from urllib.parse import urlencode

import msgspec

from merkato.outside.asgi import Answer, Call, Route, json, page
from merkato.outside.database import Database
from merkato.outside.mailbox import store
from merkato.outside.mailbox.faults import Fault, Faults
from merkato.outside.mailbox.store import Mail
from merkato.outside.page import page as frame
from merkato.outside.page import table

BANNER = "Stand-in mailbox: no mail leaves this machine"
NEWEST = 100  # mails on the page
LIMIT_MAX = 1_000  # mails in an answer

# A mail's HTML runs nothing and loads nothing; its links open beside the frame.
_HTML_POLICY = (
    b"sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    b"img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
_SEARCH = """<form><label for="to">To</label>
<input id="to" name="to" type="search" value="{to}"><button>Search</button></form>
<p>{accepted} accepted in all; the newest first.</p>"""
_LINK = re.compile(r"https?://[^\s<>\"']+")


class Read(msgspec.Struct):
    """A message with its parts."""

    mail: Mail
    text: str
    html: str
    headers: list[tuple[str, str]]


class Mailbox:
    """The mailbox's routes."""

    def __init__(self, db: Database, faults: Faults) -> None:
        self._db = db
        self._faults = faults

    def routes(self) -> list[Route]:
        """Give the table of routes."""
        return [
            ("GET", "/", self.newest),
            ("GET", "/messages/{id}", self.show),
            ("GET", "/messages/{id}/html", self.html),
            ("GET", "/messages/{id}/source", self.source),
            ("GET", "/api/messages", self.list),
            ("DELETE", "/api/messages", self.forget),
            ("GET", "/api/messages/{id}", self.retrieve),
            ("GET", "/api/stats", self.stats),
            ("GET", "/api/faults", self.faults),
            ("POST", "/api/faults", self.plan),
            ("DELETE", "/api/faults", self.repair),
        ]

    async def list(self, call: Call) -> Answer:
        """GET /api/messages?to=&subject=&message_id=&limit=: newest first, without their texts."""
        text = call.query.get("limit", "100")
        if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= LIMIT_MAX:
            return _error(f"limit must be between 1 and {LIMIT_MAX}", 400)
        to, subject = call.query.get("to"), call.query.get("subject")
        message_id = call.query.get("message_id")
        bare = message_id.strip("<>") if message_id else None
        found = store.mails(self._db, to or None, subject or None, bare, int(text))
        return json({"items": [_shown(mail) for mail in found]})

    async def retrieve(self, call: Call) -> Answer:
        """GET /api/messages/{id}: with headers, text and HTML."""
        read = self._read(call)
        if read is None:
            return _error("No such message.", 404)
        more = {"headers": read.headers, "text": read.text, "html": read.html}
        return json(_shown(read.mail) | more)

    async def forget(self, _call: Call) -> Answer:
        """DELETE /api/messages: forget all, count from zero."""
        store.forget(self._db)
        return Answer(204)

    async def stats(self, _call: Call) -> Answer:
        """GET /api/stats: all ever accepted, and how many Message-IDs they had."""
        return json(store.counts(self._db))

    async def faults(self, _call: Call) -> Answer:
        """GET /api/faults: what is planned to go wrong."""
        return json({"items": self._faults.planned})

    async def plan(self, call: Call) -> Answer:
        """POST /api/faults: plan a Fault."""
        if not call.headers.get("content-type", "").startswith("application/json"):
            return _error("Send application/json.", 415)
        try:
            fault = msgspec.json.decode(call.body, type=Fault)
        except msgspec.DecodeError as error:
            return _error(str(error), 400)
        self._faults.planned.append(fault)
        return json(fault, 201)

    async def repair(self, _call: Call) -> Answer:
        """DELETE /api/faults: be well again."""
        self._faults.planned.clear()
        return Answer(204)

    async def newest(self, call: Call) -> Answer:
        """The page of mails."""
        to = call.query.get("to", "").strip()
        mails = store.mails(self._db, to or None, None, None, NEWEST)
        accepted = f"{store.counts(self._db).accepted:,}"
        search = _SEARCH.format(to=escape(to), accepted=accepted)
        rows = table(("When", "To", "Subject"), map(_row, mails)) if mails else "<p>None here.</p>"
        return page(frame("Mails", BANNER, search + rows))

    async def show(self, call: Call) -> Answer:
        """The page of one mail."""
        read = self._read(call)
        if read is None:
            return page(frame("No such mail", BANNER, "<p>It may have been too old.</p>"), 404)
        return page(frame(read.mail.subject or "(no subject)", BANNER, _content(read)))

    async def html(self, call: Call) -> Answer:
        """A mail's HTML, for the frame in its page."""
        read = self._read(call)
        if read is None:
            return page(frame("No such mail", BANNER, ""), 404)
        return page(f'<base target="_blank">{read.html}', policy=_HTML_POLICY)

    async def source(self, call: Call) -> Answer:
        """A mail as it came."""
        found = self._find(call)
        if found is None:
            return _error("No such message.", 404)
        nosniff = ((b"x-content-type-options", b"nosniff"),)
        return Answer(200, found[1], b"text/plain; charset=utf-8", nosniff)

    def _find(self, call: Call) -> tuple[Mail, bytes] | None:
        id = call.path["id"]
        return store.mail(self._db, int(id)) if re.fullmatch("[0-9]{1,15}", id) else None

    def _read(self, call: Call) -> Read | None:
        found = self._find(call)
        if found is None:
            return None
        message = email.message_from_bytes(found[1], policy=email.policy.default)
        headers = [(name, str(value)) for name, value in message.items()]
        return Read(found[0], _part(message, "plain"), _part(message, "html"), headers)


def _part(message: EmailMessage, kind: str) -> str:
    """Give the text of the first part of that kind; empty when there is none or it is broken."""
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError, KeyError):
        return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")


def _shown(mail: Mail) -> dict[str, object]:
    at = datetime.fromtimestamp(mail.accepted_at, UTC)
    shown: dict[str, object] = msgspec.to_builtins(mail)
    return shown | {"accepted_at": at.isoformat().replace("+00:00", "Z")}


def _row(mail: Mail) -> tuple[str, str, str]:
    at = datetime.fromtimestamp(mail.accepted_at, UTC)
    to = ", ".join(
        f'<a href="/?{escape(urlencode({"to": address}))}">{escape(address)}</a>'
        for address in mail.recipients[:5]
    )
    subject = escape(mail.subject or "(no subject)")
    return f"{at:%Y-%m-%d %H:%M:%S} UTC", to, f'<a href="/messages/{mail.id}">{subject}</a>'


def _content(read: Read) -> str:
    mail = read.mail
    facts = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>"
        for name, value in (
            ("From", mail.sender),
            ("To", ", ".join(mail.recipients)),
            ("Message-ID", mail.message_id),
        )
    )
    source = f'<p><a href="/messages/{mail.id}/source">Source</a></p>'
    links = "".join(
        f'<li><a href="{escape(url)}" rel="noreferrer">{escape(url)}</a></li>'
        for url in dict.fromkeys(_LINK.findall(read.text))
    )
    html = (
        f'<h2>HTML</h2><iframe title="HTML" src="/messages/{mail.id}/html" '
        'sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>'
        if read.html
        else ""
    )
    listed = f"<h2>Links</h2><ul>{links}</ul>" if links else ""
    text = f"<h2>Text</h2><pre>{escape(read.text)}</pre>" if read.text else ""
    return f"<dl>{facts}</dl>{source}{listed}{text}{html}"


def _error(message: str, status: int) -> Answer:
    return json({"error": {"message": message}}, status)
