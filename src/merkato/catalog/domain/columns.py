"""The columns of a CSV file of products: a row a variant, the first also its product.

An empty cell leaves what is there. docs/catalogue.md says what each column holds.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, get_args
from uuid import UUID

import msgspec

from merkato.catalog.domain import products as domain
from merkato.catalog.domain.amounts import PriceKey, parse_amount, parse_key, write_amount
from merkato.catalog.domain.entries import (
    Entry,
    EntryTexts,
    EntryVariant,
    Known,
    Stand,
    in_force,
)
from merkato.catalog.domain.words import Slug, Title
from merkato.contracts.problem import Validation
from merkato.contracts.values import Line, Locale, MetadataKey, MetadataValue, Sku, TaxClass, Text

COLUMNS_MAX = 500
BETWEEN = ";"  # categories in a cell
# What a spreadsheet would run as a formula, perhaps behind our own quote (CWE-1236).
FORMULA = re.compile(r"'*[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z")
TRUE, FALSE = {"true", "yes", "1"}, {"false", "no", "0"}

STATUSES = get_args(domain.Status)
PRODUCT = {"slug": Slug, "status": domain.Status, "categories": None}
TEXTS = {"title": Title, "description": Text, "slug": Slug}
VARIANT: dict[str, Any] = {
    "sku": Sku, "archived": bool, "track_stock": bool, "requires_shipping": bool,
    "weight_g": domain.Weight, "tax_class": TaxClass, "image": domain.ImagePath,
}  # fmt: skip
KINDS: dict[str, Any] = {"text": Line, "int": domain.Integer, "bool": bool}


class Column(NamedTuple):
    """What a column holds: a field, perhaps of that name, and the type of its cells."""

    title: str  # as it is written
    field: str
    name: str = ""
    kind: Any = Line


def read_header(cells: Sequence[str], default_locale: str) -> list[Column]:
    """Read the first row of a file. Raises Validation that names every column nobody knows."""
    columns, errors = [], []
    for cell in cells:
        try:
            columns.append(_column(cell, default_locale))
        except (ValueError, msgspec.ValidationError) as error:
            errors.append({"pointer": f"/{cell[:100]}", "detail": str(error)})
    titles = [(column.field, column.name) for column in columns]
    if len(set(titles)) < len(titles):
        errors.append({"pointer": "", "detail": "Two columns say the same."})
    if not {("slug", ""), ("sku", "")} & set(titles):
        errors.append({"pointer": "", "detail": "A column slug or sku is missing."})
    if len(cells) > COLUMNS_MAX:
        errors = [{"pointer": "", "detail": f"A file has at most {COLUMNS_MAX} columns."}]
    if errors:
        raise Validation("The first row has to name columns that we know.", errors=errors)
    return columns


def _column(title: str, default_locale: str) -> Column:
    field, _, name = title.partition(".")
    if not name:
        if field in PRODUCT:
            return Column(title, field, "", PRODUCT[field])
        if field in TEXTS:
            return Column(title, field, default_locale, TEXTS[field])
        if field in VARIANT:
            return Column(title, field, "", VARIANT[field])
    elif field in TEXTS:
        return Column(title, field, msgspec.convert(name, Locale), TEXTS[field])
    elif field == "attr":
        name, _, kind = name.rpartition(":") if name.rpartition(":")[2] in KINDS else (name, "", "")
        return Column(title, f"attr.{kind or 'text'}", _named(name), KINDS[kind or "text"])
    elif field == "option":
        return Column(title, field, _named(name))
    elif field in ("metadata", "variant_metadata"):
        return Column(title, field, msgspec.convert(name, MetadataKey), MetadataValue)
    elif field == "price":
        return Column(title, field, str(parse_key(name)))
    raise ValueError("There is no such column.")


def _named(name: str) -> str:
    named: str = msgspec.convert(name, domain.Name)
    return named


def read_row(columns: Sequence[Column], cells: Sequence[str]) -> Entry:
    """Read a row. Raises Validation with the column of each mistake."""
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        raise Validation.at("", f"{len(cells)} cells for {len(columns)} columns.")
    errors: list[dict[str, str]] = []
    found: dict[str, dict[str, Any]] = {}
    for column, cell in zip(columns, cells, strict=False):
        if not cell.strip():
            continue
        try:
            value = _read(column, bare(cell))
        except (ValueError, msgspec.ValidationError) as error:
            errors.append({"pointer": f"/{column.title}", "detail": str(error)})
        else:
            found.setdefault(column.field.partition(".")[0], {})[column.name] = value
    if errors:
        raise Validation("The row has mistakes.", errors=errors)
    return _entry(found)


def _read(column: Column, cell: str) -> Any:
    if column.field == "categories":
        slugs = (slug.strip() for slug in cell.split(BETWEEN))
        return msgspec.convert(tuple(slug for slug in slugs if slug), tuple[Slug, ...])
    if column.field == "price":
        return parse_amount(cell, parse_key(column.name).currency)
    if column.kind is bool:
        if cell.strip().lower() not in TRUE | FALSE:
            raise ValueError("Write true or false.")
        return cell.strip().lower() in TRUE
    if column.kind in (domain.Integer, domain.Weight):
        if not NUMBER.match(cell.strip()) or "." in cell:
            raise ValueError("Write a whole number.")
        return msgspec.convert(int(cell), column.kind)
    if column.field in ("slug", "status", "sku", "tax_class"):
        cell = cell.strip()
    if column.field == "status" and cell not in STATUSES:
        raise ValueError("Write draft, active or archived.")
    return msgspec.convert(cell, column.kind)


def _entry(found: Mapping[str, dict[str, Any]]) -> Entry:
    texts: dict[str, dict[str, str]] = {}
    for field in TEXTS:
        for locale, value in found.get(field, {}).items():
            if locale:
                texts.setdefault(locale, {})[field] = value
    variants: tuple[EntryVariant, ...] = ()
    own: dict[str, Any] = {field: found[field][""] for field in VARIANT if field in found}
    nested = {"option": "options", "variant_metadata": "metadata", "price": "amounts"}
    own |= {name: found[field] for field, name in nested.items() if field in found}
    if "sku" in own:
        variants = (EntryVariant(**own),)
    elif own:
        raise Validation.at("/sku", "The row says something of a variant; name its sku.")
    product: dict[str, Any] = {
        field: found[field][""] for field in ("status", "categories") if field in found
    }
    if texts:
        product["texts"] = {locale: EntryTexts(**each) for locale, each in texts.items()}
    if "attr" in found:
        product["attributes"] = found["attr"]
    if "metadata" in found:
        product["metadata"] = found["metadata"]
    return Entry(slug=found.get("slug", {}).get(""), variants=variants, **product)


def place_of(pointer: str, default_locale: str) -> str:
    """Name the column that a pointer into an entry means."""
    parts = pointer.removeprefix("/").split("/")
    if parts[0] == "variants":
        parts = parts[2:]
    match parts:
        case ["texts", locale, field]:
            return f"/{field}" + ("" if locale == default_locale else f".{locale}")
        case ["categories" | "status" | "metadata" as field, *_]:
            return f"/{field}"
        case ["attributes", *_]:
            return "/attr"
        case ["prices" | "amounts", *_]:
            return "/price"
        case ["options", *_]:
            return "/option"
        case _:
            return "/sku" if parts and parts[0] else ""


def guarded(cell: str) -> str:
    """Write a cell so that no spreadsheet runs it; `bare` reads it back."""
    return f"'{cell}" if FORMULA.match(cell) and not NUMBER.match(cell) else cell


def bare(cell: str) -> str:
    """Read a cell that `guarded` may have written."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever is named differently in every shop, and so makes the columns of an export."""

    locales: tuple[str, ...]  # beside the shop's own
    attributes: tuple[tuple[str, str], ...]  # name and JSON type
    options: tuple[str, ...]
    prices: tuple[tuple[str, str, int], ...]  # currency, list, from quantity
    metadata: tuple[str, ...]
    variant_metadata: tuple[str, ...]


def header(names: Names, default_locale: str) -> list[Column]:
    """Give the columns of an export."""
    kinds = {"number": ":int", "boolean": ":bool"}
    attributes = [
        f"attr.{name}{kinds.get(kind) or (':text' if name.rpartition(':')[2] in KINDS else '')}"
        for name, kind in names.attributes
    ]
    titles = [
        *("slug", "status", "title", "description"),
        *(f"{field}.{locale}" for locale in names.locales for field in TEXTS),
        "categories", *attributes, *(f"metadata.{name}" for name in names.metadata),
        *VARIANT, *(f"option.{name}" for name in names.options),
        *(f"price.{PriceKey(*key)}" for key in names.prices),
        *(f"variant_metadata.{name}" for name in names.variant_metadata),
    ]  # fmt: skip
    return [_column(title, default_locale) for title in titles]


def write_rows(
    stand: Stand, columns: Sequence[Column], slugs: Mapping[UUID, str], known: Known
) -> list[list[str]]:
    """Write a product as rows, one a variant; what holds for the product stands in the first.

    `slugs`: of the categories, by id.
    """
    product, rows = stand.product, []
    for place, variant in enumerate(product.variants or (None,)):
        values = _of_product(product, slugs) if place == 0 else {}
        values["slug", ""] = product.texts[known.default_locale].slug
        if variant is not None:
            values |= _of_variant(variant, stand.prices.get(variant.sku, ()), known.now)
        rows.append([guarded(_written(values.get(_cell(column)))) for column in columns])
    return rows


def _cell(column: Column) -> tuple[str, str] | tuple[str, str, str]:
    field, _, kind = column.field.partition(".")
    return (field, column.name, kind) if kind else (field, column.name)


def _of_product(product: domain.Product, slugs: Mapping[UUID, str]) -> dict[Any, Any]:
    values: dict[Any, Any] = {("status", ""): product.status}
    values["categories", ""] = BETWEEN.join(slugs[one] for one in product.categories)
    for locale, text in product.texts.items():
        for field in TEXTS:
            values[field, locale] = getattr(text, field)
    for name, value in product.attributes.items():
        kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "text"
        values["attr", name, kind] = value
    return values | {("metadata", name): value for name, value in product.metadata.items()}


def _of_variant(
    variant: domain.Variant, rows: Sequence[domain.PriceRow], now: datetime
) -> dict[Any, Any]:
    values: dict[Any, Any] = {(field, ""): getattr(variant, field) for field in VARIANT}
    values |= {("option", name): value for name, value in variant.options.items()}
    values |= {("variant_metadata", name): value for name, value in variant.metadata.items()}
    for key, amount in in_force(rows, now).items():
        values["price", str(key)] = write_amount(amount, key.currency)
    return values


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
