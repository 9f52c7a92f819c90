"""A mail as bytes (RFC 5322, 2045, 2047): text and HTML of one fixed shape.

Written by hand, for the standard library's generator takes ten times as long for the same mail; a
test has its parser read what is written here.
"""

from binascii import b2a_qp
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, parseaddr

import msgspec

from merkato.notifications.domain.addresses import checked
from merkato.notifications.templates import Rendered, visible


class Mail(msgspec.Struct, frozen=True):
    """A mail ready to be handed over. An address outside ASCII needs SMTPUTF8 (RFC 6531)."""

    recipient: str
    source: bytes


class Letterhead(msgspec.Struct, frozen=True):
    """What all our mails have in common."""

    sender: str  # address of the envelope and of From
    line: str  # From as it is written in the header

    @property
    def domain(self) -> str:
        """Give the right side of our Message-IDs."""
        return self.sender.rpartition("@")[2]


def letterhead(sender: str, shop_name: str) -> Letterhead:
    """Read ``Name <address>``, or an address of the shop of that name. Raises BadAddress."""
    name, given = parseaddr(sender)
    name, address = name or shop_name, checked(given)
    quoted = visible(name).replace("\\", "\\\\").replace('"', '\\"')
    shown = f'"{quoted}"' if name.isascii() else Header(visible(name), "utf-8").encode()
    return Letterhead(address, f"{shown} <{address}>")


def compose(
    head: Letterhead, recipient: str, message_id: str, said: Rendered, locale: str, at: datetime
) -> Mail:
    """Write a mail. Raises BadAddress."""
    address = checked(recipient)
    boundary = f"=_{message_id.encode().hex()[:60]}"  # `=_` never stands in quoted-printable
    headers = (
        f"From: {head.line}",
        f"To: {address}",
        f"Subject: {_subject(said.subject)}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{message_id}>",
        "Auto-Submitted: auto-generated",
        f"Content-Language: {locale}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    )
    return Mail(
        address,
        b"".join(
            (
                "\r\n".join(headers).encode(),
                b"\r\n\r\n",
                *_part(boundary, "plain", said.text),
                *_part(boundary, "html", said.html),
                f"--{boundary}--\r\n".encode(),
            )
        ),
    )


def _subject(subject: str) -> str:
    """Write a subject so that it is one header, whatever it holds."""
    line = visible(subject)
    if line.isascii() and len(line) < 70 and "=?" not in line:
        return line
    return Header(line, "utf-8", header_name="Subject").encode(linesep="\r\n")


def _part(boundary: str, kind: str, content: str) -> Sequence[bytes]:
    body = b2a_qp(content.encode(), istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return (
        f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode(),
        body,
        b"\r\n",
    )
