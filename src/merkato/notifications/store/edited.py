"""Statements over the shop's own texts."""

from merkato.chassis.db import Row, Tx
from merkato.notifications.domain.texts import Edited

ALL = "select template, locale, version, subject, summary, text, html from edited"


async def every(tx: Tx) -> list[Edited]:
    """Read them all; there are few."""
    return [Edited(**dict(row)) for row in await tx.fetch(ALL)]


FIND = """
select template, locale, version, subject, summary, text, html, edited_by, edited_at from edited
 where template = $1 and locale = $2
"""


async def find(tx: Tx, template: str, locale: str) -> Row | None:
    """Find one."""
    return await tx.fetchrow(FIND, template, locale)


ADD = """
insert into edited (template, locale, version, subject, summary, text, html, edited_by)
values ($1, $2, 1, $3, $4, $5, $6, $7)
on conflict do nothing returning version
"""
REPLACE = """
update edited set version = version + 1, subject = $3, summary = $4, text = $5, html = $6,
                  edited_by = $7, edited_at = now()
 where template = $1 and locale = $2 and version = $8 returning version
"""


async def put(tx: Tx, edited: Edited, by: str) -> int | None:
    """Write a text over that of its version, 0 for ours; None when it has changed meanwhile."""
    words = (edited.subject, edited.summary, edited.text, edited.html)
    names = (edited.template, edited.locale)
    if edited.version == 0:
        added: int | None = await tx.fetchval(ADD, *names, *words, by)
        return added
    changed: int | None = await tx.fetchval(REPLACE, *names, *words, by, edited.version)
    return changed


REMOVE = "delete from edited where template = $1 and locale = $2 and version = $3 returning version"


async def remove(tx: Tx, template: str, locale: str, version: int) -> bool:
    """Go back to our text; False when it was changed meanwhile, or is ours."""
    return await tx.fetchval(REMOVE, template, locale, version) is not None
