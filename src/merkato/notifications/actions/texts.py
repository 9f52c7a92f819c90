"""The shop's own texts: looked at now and then by every process, written after a trial."""

import asyncio

from merkato.chassis.db import Database, Tx
from merkato.chassis.tokens import Caller
from merkato.chassis.trail import note
from merkato.contracts.problem import NotFound, PreconditionFailed, Validation
from merkato.notifications.domain.texts import Edited
from merkato.notifications.store import edited as store
from merkato.notifications.templates import TEMPLATES, UNFIT, Rendered, Texts, edited
from merkato.notifications.templates.samples import SAMPLES

FRESH_S = 5.0  # how soon an edited text is used in all processes
LINK = "https://shop.example/link?token=sample"  # stands in samples where a mail has its link


async def refresh(texts: Texts, db: Database) -> None:
    """Take up texts that were edited, if there was no look for a while."""
    now = asyncio.get_running_loop().time()
    if now < texts.fresh_until:
        return
    async with db.reading() as tx:
        texts.use(await store.every(tx))
    texts.fresh_until = now + FRESH_S


def known(template: str) -> str:
    """Give a template's name back. Raises NotFound."""
    if template not in TEMPLATES:
        raise NotFound("There is no such template.")
    return template


def try_out(texts: Texts, one: Edited) -> Rendered:
    """Render a text with sample data, after seeing that it may be used. Raises Validation."""
    for part in edited.PARTS:
        edited.check_source(part, getattr(one, part))
    sample = SAMPLES[one.template]
    try:
        shown = texts.preview(one, sample, LINK)
        plain = texts.inner_html(one, sample, LINK)
        attacked = texts.inner_html(one, edited.hostile(sample), LINK)
        texts.preview(one, edited.hostile(sample), LINK)
    except UNFIT as wrong:
        raise Validation(f"It cannot be written with sample data: {wrong}"[:300]) from wrong
    if max(map(len, (shown.subject, shown.summary, shown.text, shown.html))) > edited.OUTPUT_MAX:
        raise Validation("It becomes too long.")
    if not shown.subject:
        raise Validation.at("/subject", "A mail needs a subject.")
    if edited.structure(plain) != edited.structure(attacked):
        raise Validation.at("/html", "Put data between elements, or in quoted attributes.")
    return shown


async def put(tx: Tx, texts: Texts, caller: Caller, one: Edited) -> int:
    """Use a text of the shop's own from now on; give its version.

    Raises Validation for one that cannot be used, PreconditionFailed when it changed meanwhile.
    """
    try_out(texts, one)
    before = await store.find(tx, one.template, one.locale)
    version = await store.put(tx, one, caller.principal)
    if version is None:
        raise PreconditionFailed("It was changed meanwhile; read it again.")
    words = {part: getattr(one, part) for part in edited.PARTS}
    old = {part: before[part] if before else "" for part in edited.PARTS}
    note(tx, caller, "notifications.text_changed", _subject(one.template, one.locale), old, words)
    return version


async def remove(tx: Tx, caller: Caller, template: str, locale: str, version: int) -> None:
    """Go back to our text. Raises PreconditionFailed when it changed meanwhile or is ours."""
    if not await store.remove(tx, template, locale, version):
        raise PreconditionFailed("It was changed meanwhile, or is ours already; read it again.")
    note(tx, caller, "notifications.text_removed", _subject(template, locale))


def _subject(template: str, locale: str) -> str:
    return f"notification-template:{template}/{locale}"
