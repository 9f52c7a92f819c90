"""Examples for documents, made from JSON Schemas: plausible, valid, and always the same."""

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
WORDS: Mapping[str, Any] = {
    "email": "ada@merkato.example", "password": "a long and quiet river", "name": "Ada Lund",
    "sku": "MUG-STONE", "currency": "EUR", "country": "DE", "locale": "en", "city": "Bremen",
    "postal_code": "28195", "lines": ["1 Quay Street"], "slug": "stone-mug", "title": "Stone mug",
    "quantity": 2, "amount_minor": 1990, "shipping_method": "standard", "method": "on_account",
    "reason": "Ordered twice", "tax_class": "standard", "cart_version": 3, "role": "staff",
    "url": "https://partner.example/hooks", "delta": 10, "on_hand": 40, "version": 3,
    "image": "/demo/stone-mug.svg", "limit": 20, "q": "mug", "provider": "stripe",
}  # fmt: skip
TEXTS = (
    *("text", "EUR", "DE", "en", "ada@merkato.example", "https://merkato.example/a", "SPRING-24"),
    *("2026-03-01", "0198c2f05a527c3e9d2b3f1a6f0c8e11", "catalog:write", "12:30"),
)  # of one of these most patterns approve
FORMATS = {
    "uuid": "0198c2f0-5a52-7c3e-9d2b-3f1a6f0c8e11",
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
    "uri": "https://merkato.example/",
}


def example(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """Make a value that `schema` allows; `name` is what it is the value of."""
    if "$ref" in schema:
        return example(components[schema["$ref"].rsplit("/", 1)[-1]], components, name)
    if name in WORDS and _fits(WORDS[name], schema):
        return WORDS[name]
    for word in ("const", "default"):
        if isinstance(schema.get(word), str | int):
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        choices = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return example(choices[0] if choices else {}, components, name)
    return _of_type(schema, components, name)


def _of_type(schema: Schema, components: Mapping[str, Schema], name: str) -> Any:
    match schema.get("type"):
        case "object":
            return _object(schema, components)
        case "array":
            items = schema.get("items")
            return [example(items, components, name.removesuffix("s"))] if items else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return FORMATS.get(schema.get("format", ""), _text(schema))
    return None


def _object(schema: Schema, components: Mapping[str, Schema]) -> dict[str, Any]:
    named: Mapping[str, Schema] = schema.get("properties", {})
    wanted = [one for one in named if one in schema.get("required", ())] or list(named)
    made = {one: example(named[one], components, one) for one in wanted}
    values = schema.get("additionalProperties")
    if not named and isinstance(values, Mapping):
        key = _text({"pattern": "", **schema.get("propertyNames", {})})
        made[key] = example(values, components)
    return made


def _text(schema: Schema) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 1_000)
    texts = ("text".ljust(low, "0")[:high], *TEXTS)
    return next((one for one in texts if _matches(one, schema)), texts[0])


def _matches(text: str, schema: Schema) -> bool:
    return re.search(schema.get("pattern", ""), text) is not None


def _fits(word: Any, schema: Schema) -> bool:
    """Tell whether a word may stand here, by its type alone."""
    kinds = {str: "string", int: "integer", list: "array"}
    allowed = [schema, *schema.get("anyOf", ())]
    if isinstance(word, list) and not any("items" in one for one in allowed):
        return False
    if any(one.get("items", {}).get("$ref") for one in allowed) or "enum" in schema:
        return False
    return any(
        one.get("type") == kinds[type(word)]
        and "format" not in one
        and (not isinstance(word, str) or _matches(word, one))
        for one in allowed
    )
