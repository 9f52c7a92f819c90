"""A message: what it is, and how it fares on its way. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

FIRST_PAUSE_S = 5  # until the second try; doubled for each further one
LAST_PAUSE_S = 1_800
GIVE_UP_AFTER = timedelta(hours=48)  # a mail that could not be sent for so long is given up
OF_OURS = re.compile(r"(.{1,200})\.([0-9a-f]{8})(?:\.\d{1,4})?@([^@\s]{1,255})\Z")
BY_HAND = "sent."  # begins the fact of a message that somebody had us send
NOT_IN_A_MESSAGE_ID = re.compile(r"[^A-Za-z0-9.-]+")


class State(StrEnum):
    """Where a message is in its life."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell somebody: at most one message per (fact, template, recipient)."""

    channel: str  # email | inbox | sms | push
    kind: str = "order"  # order | account | staff | marketing
    fact: str
    template: str
    locale: str
    recipient: str  # a mail address, a telephone number, user:<id> (inbox) or push:<id>
    customer_id: UUID | None
    data: Mapping[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is kept."""

    id: UUID
    channel: str
    kind: str = "order"
    fact: str
    template: str
    locale: str
    recipient: str
    customer_id: UUID | None = None
    data: dict[str, Any]
    edition: int = 1
    tries: int = 0  # counts the try under way
    last_try: bool = False  # it has waited too long: if this try fails, it is given up


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one try. Neither `sent` nor `failed`: it will be tried again."""

    message: Message
    sent: bool = False
    failed: bool = False
    tried: bool = True  # False: its turn did not come
    wait_s: int | None = None  # until the next try, if the other side named a time
    bounced: bool = False  # it is the address that was refused
    reason: str = ""


def message_id(message: Message, domain: str) -> str:
    """Name a mail so that each try has the same Message-ID (RFC 5322, 3.6.4), without brackets."""
    fact = NOT_IN_A_MESSAGE_ID.sub("-", message.fact).strip(".-").replace("..", ".")
    again = f".{message.edition}" if message.edition > 1 else ""
    return f"{fact}.{message.id.hex[:8]}{again}@{domain}"


def of_message_id(text: str) -> tuple[str, UUID, UUID] | None:
    """Read a Message-ID of ours: that of its first edition, and the range in which its id lies."""
    match = OF_OURS.match(text.strip().strip("<>"))
    if match is None:
        return None
    first = int(match[2], 16) << 96
    last = first | ((1 << 96) - 1)
    return f"{match[1]}.{match[2]}@{match[3]}", UUID(int=first), UUID(int=last)


def pause_s(tries: int) -> int:
    """Give the seconds to wait after so many tries: 5, 10, 20 … half an hour."""
    return min(FIRST_PAUSE_S << min(tries - 1, 20), LAST_PAUSE_S) if tries > 0 else 0
