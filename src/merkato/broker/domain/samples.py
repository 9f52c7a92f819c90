"""A sample of a type: always the same, and valid by the type's own limits."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import inspect

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WORDS = {
    "currency": "EUR", "country": "DE", "locale": "en", "email": "ada@merkato.example",
    "sku": "MUG-BLUE", "number": "K7QM-2F9X-4", "title": "Blue mug", "slug": "blue-mug",
    "reason": "customer", "payment_method": "card", "channel": "email", "tax_class": "standard",
    "template": "order_confirmed", "price_list": "standard", "service": "orders",
    "event_type": "orders.order_placed.v1", "carrier": "DHL", "tracking": "00340434161094042557",
}  # fmt: skip


def sample(kind: type[msgspec.Struct]) -> Any:
    """Make a sample of a struct, every field filled."""
    return msgspec.convert(_filled(inspect.type_info(kind), ""), kind)


def _filled(info: inspect.Type, name: str) -> Any:
    match info:
        case inspect.StructType():
            return {one.name: _filled(one.type, one.name) for one in info.fields}
        case inspect.UnionType():
            return _filled(next(t for t in info.types if not isinstance(t, inspect.NoneType)), name)
        case inspect.Metadata():
            return _filled(info.type, name)
        case inspect.VarTupleType() | inspect.ListType() | inspect.CollectionType():
            return [_filled(info.item_type, name.removesuffix("s"))]
        case inspect.DictType():
            return {"en": _filled(info.value_type, name.removesuffix("s"))}
        case inspect.LiteralType():
            return info.values[0]
        case inspect.EnumType():
            return next(iter(info.cls)).value
    return _scalar(info, name)


def _scalar(info: inspect.Type, name: str) -> Any:
    match info:
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return max(info.ge or 0, (info.gt or 0) + 1)
        case inspect.UUIDType():
            return UUID(int=0x0197_0000_0000_7000_8000_0000_0000_0001)
        case inspect.DateTimeType():
            return WHEN
        case inspect.StrType():
            return WORDS.get(name, "text")
    return None
