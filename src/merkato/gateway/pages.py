"""The gateway's own pages: what each problem means, and the pictures of the demo goods."""

import re
from html import escape
from importlib.resources import files

from merkato.contracts.problem import Problem

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/static/docs.css"><title>{title}</title>
<main><h1>{title}</h1><p><code>{slug}</code>, status {status}</p><p>{text}</p></main></html>
"""


def problem_kinds() -> dict[str, type[Problem]]:
    """Map slug to problem, for every problem that a loaded service can answer."""
    found: dict[str, type[Problem]] = {}
    waiting = list(Problem.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if "slug" in vars(kind):
            found[kind.slug] = kind
    return found


def page(path: str) -> tuple[bytes, bytes] | None:
    """Give media type and body of an own page, None for what is not here."""
    if path == "/ping":
        return b"application/json", b'{"ping":"pong"}'
    folder, _, name = path.removeprefix("/").partition("/")
    if folder == "demo":
        picture = _picture(name)
        return (b"image/svg+xml", picture) if picture else None
    text = _problem_page(name) if folder == "problems" else None
    return (b"text/html; charset=utf-8", text) if text else None


def is_own(path: str) -> bool:
    """Tell whether the gateway answers a path itself; else it is for people, in a browser."""
    watched = ("/ping", "/livez", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs")
    return path.startswith(("/api/", "/demo/", "/problems/", "/docs/")) or path in watched


def _picture(name: str) -> bytes | None:
    """Give a drawing of the demo shop; only names that are there, so no path leads elsewhere."""
    folder = files("merkato.demo").joinpath("pictures")
    known = {entry.name for entry in folder.iterdir()}
    return folder.joinpath(name).read_bytes() if name in known else None


def _problem_page(slug: str) -> bytes | None:
    kind = problem_kinds().get(slug)
    if kind is None:
        return None
    text = re.sub("`(.+?)`", r"<code>\1</code>", escape(kind.__doc__ or ""))
    return PAGE.format(title=escape(kind.title), slug=slug, status=kind.status, text=text).encode()
