"""What a route may take beyond the usual: a larger body, one that is read as it comes, more time.

A route declares it as ``allowance=Allowance(…)``; the edge of its service reads the table.
"""

import re
from collections.abc import Sequence

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.types import ControllerRouterHandler

BODY_MAX_BYTES = 1_048_576
STREAM = "/stream"  # how the paths end whose answers last as long as their readers
PARAMETER = re.compile(r"\{[^}]+\}")


def pattern_of(path: str) -> str:
    """Write a route's path as a regular expression; a parameter is one segment."""
    return "[^/]+".join(re.escape(part) for part in PARAMETER.split(path))


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """How large a body a route takes, of which types, and whether it is handed over as it comes.

    A streamed request, and one whose answer is streamed, has no deadline as a whole; each part of
    a body must arrive in time.
    """

    body_max_bytes: int = BODY_MAX_BYTES
    media_types: tuple[str, ...] = ("application/json",)
    streamed: bool = False


USUAL = Allowance()


class Allowances:
    """The allowances of a service's routes, by method and path."""

    def __init__(self, routes: Sequence[ControllerRouterHandler] = ()) -> None:
        self._found: dict[str, list[tuple[re.Pattern[str], Allowance]]] = {}
        for route in routes:
            assert isinstance(route, BaseRouteHandler)
            allowance: Allowance = route.opt.get("allowance", USUAL)
            for path in route.paths if allowance is not USUAL else ():
                pattern = re.compile(pattern_of(path) + r"/?\Z")
                for method in getattr(route, "http_methods", ()):
                    self._found.setdefault(str(method), []).append((pattern, allowance))

    def of(self, method: str, path: str) -> Allowance:
        """Give what a request is allowed."""
        for pattern, allowance in self._found.get(method, ()):
            if pattern.match(path):
                return allowance
        return USUAL
