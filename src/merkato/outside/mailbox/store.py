"""Every SQL statement of the mailbox, one function each."""

import hashlib
from typing import Any

import msgspec

from merkato.outside.database import Database

KEPT_MAX = 20_000  # messages


class Mail(msgspec.Struct, kw_only=True):
    """A message as it was taken. `accepted_at` in Unix seconds; `message_id` without < and >."""

    id: int = 0
    message_id: str
    sender: str
    recipients: list[str]
    subject: str
    accepted_at: float


class Counts(msgspec.Struct):
    """All messages ever accepted, and how many different Message-IDs they had."""

    accepted: int
    distinct_message_ids: int


INSERT_MESSAGE = """
insert into messages (message_id, sender, recipients, subject, source, accepted_at)
values (?, ?, ?, ?, ?, ?)
"""


def insert_message(db: Database, mail: Mail, source: bytes) -> int:
    """Keep a message; gives its number."""
    recipients = msgspec.json.encode(mail.recipients).decode()
    row = (mail.message_id, mail.sender, recipients, mail.subject, source, mail.accepted_at)
    return db.run(INSERT_MESSAGE, row).lastrowid or 0


INSERT_RECIPIENT = "insert or ignore into recipients (address, message) values (?, ?)"


def insert_recipients(db: Database, message: int, recipients: list[str]) -> None:
    """Make a message findable by whom it was sent to."""
    db.run_many(INSERT_RECIPIENT, [(address.lower(), message) for address in recipients])


INSERT_SEEN = "insert or ignore into seen (digest) values (?)"


def insert_seen(db: Database, message_id: str) -> bool:
    """Note a Message-ID; True the first time. A message without one is like no other."""
    if not message_id:
        return True
    digest = hashlib.blake2b(message_id.encode(errors="replace"), digest_size=16).digest()
    return db.run(INSERT_SEEN, (digest,)).rowcount == 1


COUNT = "update counts set accepted = accepted + 1, different = different + ?"


def count(db: Database, new: bool) -> None:
    """Count a message."""
    db.run(COUNT, (int(new),))


COUNTS = "select accepted, different from counts"


def counts(db: Database) -> Counts:
    """Give the counts."""
    return Counts(*db.ask(COUNTS).fetchone())


TRIM_RECIPIENTS = "delete from recipients where message <= ?"
TRIM_MESSAGES = "delete from messages where id <= ?"


def trim(db: Database, newest: int) -> None:
    """Forget all but the newest KEPT_MAX messages."""
    db.run(TRIM_RECIPIENTS, (newest - KEPT_MAX,))
    db.run(TRIM_MESSAGES, (newest - KEPT_MAX,))


MAILS = """
select id, message_id, sender, recipients, subject, accepted_at from messages
where (?1 is null or id in (select message from recipients where address = lower(?1)))
  and (?2 is null or instr(lower(subject), lower(?2)) > 0)
  and (?3 is null or message_id = ?3)
order by id desc limit ?4
"""


def mails(
    db: Database, to: str | None, subject: str | None, message_id: str | None, limit: int
) -> list[Mail]:
    """Give messages newest first: to a recipient, with a part of the subject, with a Message-ID."""
    return [_mail(row) for row in db.ask(MAILS, (to, subject, message_id, limit))]


MAIL = """
select id, message_id, sender, recipients, subject, accepted_at, source from messages where id = ?
"""


def mail(db: Database, id: int) -> tuple[Mail, bytes] | None:
    """Give a message and its source; None when there is none (any more)."""
    row = db.ask(MAIL, (id,)).fetchone()
    return (_mail(row[:6]), bytes(row[6])) if row else None


FORGET = (
    "delete from recipients",
    "delete from messages",
    "delete from seen",
    "update counts set accepted = 0, different = 0",
)


def forget(db: Database) -> None:
    """Forget every message, and count from zero."""
    for statement in FORGET:
        db.run(statement)


def _mail(row: tuple[Any, ...]) -> Mail:
    return Mail(
        id=row[0],
        message_id=row[1],
        sender=row[2],
        recipients=msgspec.json.decode(row[3], type=list[str]),
        subject=row[4],
        accepted_at=row[5],
    )
