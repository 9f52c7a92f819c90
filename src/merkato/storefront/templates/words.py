"""How names and values of attributes and options are written for people.

The API has them as programs know them: ``capacity_ml`` and ``350``. What shops often write is in
``glossary.<locale>.json``; whatever is not there is shown as it is.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec
from babel import Locale

UNITS = {
    "ml": "ml", "l": "l", "g": "g", "kg": "kg", "mm": "mm", "cm": "cm", "m": "m", "m2": "m²",
    "percent": "%", "h": "h", "w": "W",
}  # fmt: skip


@cache
def glossary(locale: str) -> Mapping[str, str]:
    """Read how words of attributes are written in a language."""
    file = files("merkato.storefront").joinpath("templates", f"glossary.{locale}.json")
    return msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.is_file() else {}


def measured(key: str, value: object, locale: str) -> tuple[str, str]:
    """Write an attribute: its name, and its value with the unit that the name ends with."""
    known = glossary(locale)
    stem, _, unit = key.rpartition("_")
    sign = UNITS.get(unit, "") if stem else ""
    name = (stem if sign else key).replace("_", " ")
    name = known.get(name, name)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if key == "origin" and len(text) == 2 and text.isupper():
        text = str(Locale.parse(locale).territories.get(text, text))
    return name[:1].upper() + name[1:], f"{text} {sign}" if sign and text else known.get(text, text)


def options(chosen: Mapping[str, str], locale: str) -> str:
    """Write what a variant is: "oat, 350 ml"."""
    known = glossary(locale)
    return ", ".join(known.get(value, value) for value in chosen.values())
