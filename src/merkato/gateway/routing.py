"""Where a request goes: the longest prefix wins, and what is for services only is not there."""

import re
from collections.abc import Mapping, Sequence

from merkato.chassis import http
from merkato.chassis.allowance import pattern_of
from merkato.chassis.service import Service

# Empty and dotted segments, their spellings, once more encoded ones, overlong UTF-8.
UNSAFE = re.compile(
    rb"//|/\.{1,2}(?:[/;]|$)|\\|%(?:25)*(?:2[ef]|5c|00)|%c[01]|[\x00-\x20\x7f]", re.I
)


def prefixes(services: Mapping[str, Service]) -> list[tuple[str, str]]:
    """List (prefix, service), longest first."""
    pairs = [(prefix, name) for name, one in services.items() for prefix in one.prefixes]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def find(table: Sequence[tuple[str, str]], path: str) -> str | None:
    """Name the service that answers a path."""
    for prefix, name in table:
        if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
            return name
    return None


def for_services_only(services: Mapping[str, Service]) -> re.Pattern[str]:
    """Match ``METHOD path`` of every route whose policy admits services only."""
    patterns = [
        f"{method} {pattern_of(path)}"
        for one in services.values()
        for (method, path), policy in http.policies(one.routes).items()
        if policy == http.SERVICE
    ]
    return re.compile("(?:" + "|".join(patterns) + r")/?\Z" if patterns else r"(?!)")


def is_canonical(raw_path: bytes) -> bool:
    """Tell whether every hop will read a path the same way."""
    return raw_path.startswith(b"/") and not UNSAFE.search(raw_path)
