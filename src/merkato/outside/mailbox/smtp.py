"""SMTP in. Answers 250 only once the mail is in the file; mails taken at once share a commit."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope, Session

from merkato.outside.database import Database
from merkato.outside.mailbox import store
from merkato.outside.mailbox.faults import Faults
from merkato.outside.mailbox.store import Mail

SIZE_MAX_BYTES = 10 * 1_048_576
RECIPIENTS_MAX = 1_000  # of one mail
TRIM_EVERY = 100  # mails

_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(?:\r\n[ \t]+)?<?([^>\r\n]*)>?", re.I | re.M)
_SUBJECT = re.compile(rb"^subject:[ \t]*((?:[^\r\n]|\r\n[ \t])*)", re.I | re.M)


class Postman:
    """Takes mails in, as aiosmtpd's handler."""

    def __init__(self, db: Database, faults: Faults) -> None:
        self._db = db
        self._faults = faults

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept every recipient, unless a test planned otherwise."""
        if (fault := self._faults.at_recipient(address)) is not None:
            return f"{fault.code} refused, as it was told to be"
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep the mail."""
        fault = self._faults.at_data(envelope.rcpt_tos)
        if fault is not None and fault.fault == "refuse":
            return f"{fault.code} refused, as it was told to be"
        if fault is None or fault.fault == "silence":
            id = keep(self._db, envelope)
            await self._db.committed()
            if fault is None:
                return f"250 OK kept as {id}"
        if isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "421 closing"


def keep(db: Database, envelope: Envelope) -> int:
    """Keep a mail in the transaction that is open; gives its number."""
    source = bytes(envelope.original_content or b"")
    head = source.partition(b"\r\n\r\n")[0]
    mail = Mail(
        message_id=_first(_MESSAGE_ID, head).strip(),
        sender=envelope.mail_from or "",
        recipients=envelope.rcpt_tos,
        subject=_decoded(_first(_SUBJECT, head)),
        accepted_at=time.time(),
    )
    id = store.insert_message(db, mail, source)
    store.insert_recipients(db, id, mail.recipients)
    store.count(db, store.insert_seen(db, mail.message_id))
    if id % TRIM_EVERY == 0:
        store.trim(db, id)
    return id


def _first(header: re.Pattern[bytes], head: bytes) -> str:
    match = header.search(head)
    return match[1].decode("utf-8", "replace") if match else ""


def _decoded(subject: str) -> str:
    """Undo folding and RFC 2047; what cannot be decoded stays as it came."""
    unfolded = subject.replace("\r\n", "")
    if "=?" not in unfolded:
        return unfolded
    try:
        return str(make_header(decode_header(unfolded)))
    except (HeaderParseError, LookupError, ValueError):
        return unfolded


@asynccontextmanager
async def listening(db: Database, faults: Faults, listener: socket.socket) -> AsyncIterator[None]:
    """Take mails at `listener`, a bound socket; on leaving, close it and every session."""
    loop = asyncio.get_running_loop()
    postman = Postman(db, faults)
    sessions: WeakSet[SMTP] = WeakSet()

    def session() -> SMTP:
        made = SMTP(
            postman,
            data_size_limit=SIZE_MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname="mailbox.standin",
            ident="stand-in mailbox",
            loop=loop,
        )
        sessions.add(made)
        return made

    server = await loop.create_server(session, sock=listener, backlog=1_024)
    try:
        yield
    finally:
        server.close()
        for open_session in sessions:
            if isinstance(open_session.transport, asyncio.Transport):
                open_session.transport.abort()
