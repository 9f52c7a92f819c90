"""The mail server: a few connections, kept open, each carrying one mail at a time."""

import asyncio
from enum import Enum
from urllib.parse import unquote, urlsplit

import msgspec
from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPStatus,
)

from merkato.notifications.providers.mail import Mail

ANSWER_S = 20.0  # longest wait for one answer of the server
CONNECT_S = 10.0
PAUSE_MAX_S = 30.0  # longest pause before a server that is away is tried again


class Outcome(Enum):
    """What the server made of a mail."""

    TAKEN = "taken"
    REFUSED = "refused"  # for good
    UNSURE = "unsure"  # not now, or nobody knows: hand it over again, under the same Message-ID


class Answer(msgspec.Struct, frozen=True):
    """The server's word; `why` is for people and holds no address."""

    outcome: Outcome
    why: str = ""
    of_address: bool = False  # it was the recipient that was refused


class Away(Exception):
    """The server cannot be reached or takes no mail from us at all; no mail is to blame."""


class Server(msgspec.Struct, frozen=True):
    """Where mail is handed over: ``smtp://`` or ``smtps://``, with user:password@ if needed."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool

    @classmethod
    def at(cls, url: str) -> "Server":
        """Read a URL. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("smtp_url: smtp://host:port or smtps://host:port")
        tls = parts.scheme == "smtps"
        return cls(
            parts.hostname,
            parts.port or (465 if tls else 25),
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            tls,
        )


class Line:
    """One connection; opened when it is needed."""

    def __init__(self, server: Server, sender: str) -> None:
        self._server = server
        self._sender = sender
        self._smtp: SMTP | None = None

    async def hand_over(self, mail: Mail) -> Answer:
        """Hand a mail over. Raises Away. When cancelled, nobody knows what became of the mail."""
        smtp = await self._connected()
        if not mail.recipient.isascii() and not smtp.supports_extension("smtputf8"):
            return Answer(Outcome.REFUSED, "the mail server knows ASCII addresses only")
        try:
            return await self._speak(smtp, mail)
        except SMTPDataError as refused:
            return await self._refused(smtp, refused.code)
        except (SMTPException, OSError, ValueError) as lost:
            self.close()
            return Answer(Outcome.UNSURE, type(lost).__name__)
        except BaseException:
            self.close()
            raise

    async def _speak(self, smtp: SMTP, mail: Mail) -> Answer:
        """Say MAIL, RCPT and DATA; the library's sendmail() parses each address thrice for that."""
        options = () if mail.recipient.isascii() else (b"SMTPUTF8",)
        sender, recipient = self._sender.encode(), mail.recipient.encode()
        first = await smtp.execute_command(b"MAIL", b"FROM:<" + sender + b">", *options)
        if first.code != SMTPStatus.completed:
            self.close()
            raise Away(f"{first.code} to our own address")
        second = await smtp.execute_command(b"RCPT", b"TO:<" + recipient + b">")
        if second.code // 100 != 2:
            return await self._refused(smtp, second.code, of_address=True)
        await smtp.data(mail.source)
        return Answer(Outcome.TAKEN)

    async def _refused(self, smtp: SMTP, code: int, *, of_address: bool = False) -> Answer:
        """Judge a refusal, and make the line ready for the next mail."""
        try:
            await smtp.rset()
        except (SMTPException, OSError):
            self.close()
        final = 500 <= code <= 599
        if not final:
            return Answer(Outcome.UNSURE, f"{code}")
        return Answer(Outcome.REFUSED, f"{code}", of_address)

    async def _connected(self) -> SMTP:
        if self._smtp is not None and self._smtp.is_connected:
            return self._smtp
        server = self._server
        smtp = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.tls,
            timeout=CONNECT_S,
            local_hostname=self._sender.rpartition("@")[2],
        )
        try:
            async with asyncio.timeout(CONNECT_S):
                await smtp.connect()
                await smtp.ehlo()
        except (SMTPException, OSError) as error:
            smtp.close()
            code = getattr(error, "code", "")
            raise Away(f"{type(error).__name__} {code}".strip()) from error
        smtp.timeout = ANSWER_S
        self._smtp = smtp
        return smtp

    def close(self) -> None:
        """Drop the connection; the next mail opens another one."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


class Post:
    """The lines to one server, and whether it is worth trying."""

    def __init__(self, url: str, sender: str, lines: int) -> None:
        """Open nothing yet. Raises ValueError for a URL that is none."""
        server = Server.at(url)
        self.lines = [Line(server, sender) for _ in range(lines)]
        self._pause_s = 0.0
        self._closed_until = 0.0

    def open(self) -> bool:
        """Tell whether it is time to try."""
        return asyncio.get_running_loop().time() >= self._closed_until

    def found(self) -> None:
        """Note that the server takes mail."""
        self._pause_s = self._closed_until = 0.0

    def away(self) -> None:
        """Note that the server is away: pause, each time longer."""
        self._pause_s = min(max(1.0, 2 * self._pause_s), PAUSE_MAX_S)
        self._closed_until = asyncio.get_running_loop().time() + self._pause_s

    def close(self) -> None:
        """Drop all connections."""
        for line in self.lines:
            line.close()
