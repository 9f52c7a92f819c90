"""Working off a part of an import: its rows become products, all at once where they can."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from merkato.catalog.actions.products import write
from merkato.catalog.domain import columns as csv
from merkato.catalog.domain.entries import Entry, Known, Stand, change, merged
from merkato.catalog.domain.products import Change
from merkato.catalog.domain.records import Row, csv_rows, decoded, json_rows
from merkato.catalog.store import imports as store
from merkato.catalog.store import price_lists, products
from merkato.catalog.store.imports import Counts, RowError, Task
from merkato.chassis.db import Tx
from merkato.chassis.ids import new_id
from merkato.contracts.problem import Problem, StateConflict, Validation

_entries = msgspec.json.Decoder(Entry)


class Read(NamedTuple):
    """A row as it was read: an entry, or why it is none."""

    line: int
    entry: Entry | None
    errors: tuple[RowError, ...] = ()


class Report(NamedTuple):
    """How the rows of a part ended."""

    counts: Counts
    errors: list[RowError]


def read_rows(task: Task, default_locale: str) -> list[Read]:
    """Read the rows of a part. Raises nothing: a bad row is read as its errors."""
    lines = decoded(task.content or b"").splitlines(keepends=True)
    if task.format == "csv":
        rows, _ = csv_rows(lines, task.delimiter or ",", whole=True)
    else:
        rows = json_rows(lines)
    header = csv.read_header(task.columns or [], default_locale) if task.columns else []
    return [_read(row, row.line + (task.first_line or 1), header) for row in rows]


def _read(row: Row, line: int, header: Sequence[csv.Column]) -> Read:
    try:
        row.text.encode()
    except UnicodeEncodeError:
        return Read(line, None, (_error(line, "", "", "The row is not in UTF-8."),))
    try:
        if not header:
            return Read(line, _entry(row.text))
        if row.cells is None:
            raise Validation("Quotes begin in this row that do not end as they should.")
        return Read(line, csv.read_row(header, row.cells))
    except Problem as problem:
        subject = _subject(row, header)
        return Read(line, None, tuple(_errors(problem, line, subject)))


def _entry(text: str) -> Entry:
    try:
        return _entries.decode(text)
    except msgspec.ValidationError as error:
        raise Validation.read(str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Validation(f"The line is not JSON: {error}.") from error


def _subject(row: Row, header: Sequence[csv.Column]) -> str:
    cells = dict(zip((column.title for column in header), row.cells or (), strict=False))
    return (cells.get("sku") or cells.get("slug") or "")[:100]


def _errors(problem: Problem, line: int, subject: str, locale: str | None = None) -> list[RowError]:
    """Write a problem as the errors of a row; `locale`: the shop's, for a row of CSV."""
    listed = problem.members.get("errors") or [{"pointer": "", "detail": problem.detail}]
    return [
        _error(
            line, subject, csv.place_of(one["pointer"], locale) if locale else one["pointer"],
            one["detail"], n,
        )
        for n, one in enumerate(listed)
    ]  # fmt: skip


def _error(line: int, subject: str, pointer: str, detail: str, n: int = 0) -> RowError:
    clean = (text.replace("\x00", "\ufffd")[:500] for text in (subject, pointer, detail))
    subject, pointer, detail = clean
    return RowError(line=line, n=n, subject=subject, pointer=pointer, detail=detail)


def refused(row: Read, error: Exception) -> Report:
    """Report a row that could not be kept, though it could be read."""
    problem = error if isinstance(error, Problem) else Validation("The row could not be kept.")
    subject = _named(row.entry) if row.entry else ""
    return Report(Counts(failed=1), _errors(problem, row.line, subject))


async def apply(tx: Tx, rows: Sequence[Read], default_locale: str, *, is_csv: bool) -> Report:
    """Make products of rows and say what has changed; a row that cannot be is left out.

    Raises StateConflict or Validation when something was taken meanwhile: nothing is done then, and
    one row at a time will show which one it was.
    """
    shelf = await _shelf(tx, [row.entry for row in rows if row.entry], default_locale)
    counts, errors = Counts(), []
    for row in rows:
        found = list(row.errors)
        if row.entry is not None:
            try:
                verdict = shelf.put(row.entry)
            except Problem as problem:
                locale = default_locale if is_csv else None
                found = _errors(problem, row.line, _named(row.entry), locale)
            else:
                setattr(counts, verdict, getattr(counts, verdict) + 1)
        if found:
            counts.failed += 1
            errors += found
    await write(tx, None, shelf.changes())
    return Report(counts, errors)


def _named(entry: Entry) -> str:
    return entry.variants[0].sku if entry.variants else entry.slug or ""


class _Shelf:
    """The products that a part speaks of: as they are, and as its rows make them."""

    def __init__(
        self, known: Known, before: Mapping[UUID, Stand], slugs: dict[str, UUID],
        skus: dict[str, UUID],
    ) -> None:  # fmt: skip
        self._known = known
        self._before = before
        self._after: dict[UUID, Stand] = {}
        self._slugs, self._skus = slugs, skus

    def put(self, entry: Entry) -> str:
        """Apply a row; gives created, changed or unchanged. Raises Validation, StateConflict."""
        product_id = self._find(entry)
        before = self._after.get(product_id) or self._before.get(product_id)
        after = merged(before, entry, self._known, product_id)
        if before is not None and change(before, after) is None:
            return "unchanged"
        grown = before is None or len(after.product.variants) > len(before.product.variants)
        self._after[product_id] = after
        slug = after.product.texts[self._known.default_locale].slug or ""
        self._slugs[slug] = product_id
        for variant in after.product.variants:
            self._skus[variant.sku.lower()] = product_id
        return "created" if grown else "changed"

    def _find(self, entry: Entry) -> UUID:
        """Give the id of the product that an entry means, a new one if there is none."""
        owners = {self._skus[sku] for v in entry.variants if (sku := v.sku.lower()) in self._skus}
        by_slug = self._slugs.get(entry.slug) if entry.slug is not None else None
        if entry.slug is None:
            if not owners:
                raise Validation.at("/slug", "Nothing has this sku; name the slug of its product.")
            by_slug = self._skus.get(entry.variants[0].sku.lower())
        elif by_slug is None and owners:  # an archived product keeps its skus
            [owner, *_] = owners
            texts = (self._after.get(owner) or self._before[owner]).product.texts
            if texts[self._known.default_locale].slug == entry.slug:
                by_slug = owner
        if owners - {by_slug}:
            raise StateConflict("Another product has this sku.")
        return by_slug or new_id()

    def changes(self) -> list[Change]:
        """List what is to be written."""
        found = (change(self._before.get(one), stand) for one, stand in self._after.items())
        return [one for one in found if one is not None]


async def _shelf(tx: Tx, entries: Sequence[Entry], default_locale: str) -> _Shelf:
    slugs = await store.by_slug(tx, default_locale, [e.slug for e in entries if e.slug])
    asked = {variant.sku.lower() for entry in entries for variant in entry.variants}
    skus = await store.by_sku(tx, sorted(asked))
    found = await products.lock(tx, [*slugs.values(), *skus.values()])
    rows = await store.price_rows(tx, [v.sku for one in found.values() for v in one.variants])
    before = {
        one.id: Stand(one, {variant.sku: rows[variant.sku] for variant in one.variants})
        for one in found.values()
    }
    known = Known(
        default_locale,
        await store.category_slugs(tx, default_locale),
        frozenset(one.name for one in await price_lists.every(tx)),
        await store.now(tx),
    )
    return _Shelf(known, before, slugs, skus)
