"""Names of countries as shops write them, as codes of ISO 3166-1."""

from functools import cache

from babel import Locale

# Names that CLDR spells otherwise. The Channel Islands are two territories; Jersey is the larger.
ALIASES = {
    "channel islands": "JE", "czech republic": "CZ", "eire": "IE", "england": "GB",
    "european community": "EU", "great britain": "GB", "holland": "NL", "hong kong": "HK",
    "korea": "KR", "rsa": "ZA", "scotland": "GB", "turkey": "TR", "uk": "GB", "usa": "US",
}  # fmt: skip
UNKNOWN = "ZZ"  # of ISO's user-assigned codes, the one CLDR calls "Unknown Region"


@cache
def country(name: str) -> str:
    """Give the code of a country's English name, UNKNOWN for what is none."""
    return ALIASES.get(name.lower()) or _codes().get(name.lower(), UNKNOWN)


@cache
def _codes() -> dict[str, str]:
    names = Locale("en").territories
    return {name.lower(): code for code, name in names.items() if len(code) == 2}
