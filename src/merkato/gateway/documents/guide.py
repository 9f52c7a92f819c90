"""The pages of `docs`, as the shop shows them: diagrams drawn beforehand, their text beneath."""

import hashlib
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import cast

from markdown_it import MarkdownIt
from markdown_it.token import Token

AT = "/docs/pages"
DIAGRAM = re.compile(r"```mermaid\n(.*?)```", re.S)
PAGE = """\
<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<link rel="stylesheet" href="/docs/static/docs.css"><link rel="icon" href="data:,">
<nav><a href="/docs/pages">Pages</a> <a href="/docs">Requests</a>
<a href="/docs/events">Events</a></nav>
<main>
{body}</main></html>
"""
TEXT = "<details{open}><summary>The diagram as text</summary><pre>{text}</pre></details>\n"


def folder() -> Path:
    """Give the folder that holds ARCHITECTURE.md and docs: in the package, or of the source."""
    packed = Path(str(files("merkato").joinpath("written")))
    return packed if packed.is_dir() else Path(__file__).resolve().parents[4]


def pages() -> dict[str, Path]:
    """Give the pages by name: the architecture, and what lies in docs itself."""
    every = [folder() / "ARCHITECTURE.md", *sorted((folder() / "docs").glob("*.md"))]
    return {page.stem.lower(): page for page in every if page.exists()}


def drawing(text: str) -> str:
    """Name the drawing of a diagram after Mermaid's text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] + ".svg"


def page(path: str) -> tuple[bytes, bytes] | None:
    """Give media type and body of what is at a path below AT; only what is there leads anywhere."""
    name = path.removeprefix(AT).removeprefix("/")
    if name.endswith(".svg"):
        drawn = {file.name: file for file in _drawings().glob("*.svg")}
        return (b"image/svg+xml", drawn[name].read_bytes()) if name in drawn else None
    if not name:
        return _html("Pages", _index())
    return _html(*_read(pages()[name])) if name in pages() else None


def _html(title: str, body: str) -> tuple[bytes, bytes]:
    return b"text/html; charset=utf-8", PAGE.format(title=escape(title), body=body).encode()


def _drawings() -> Path:
    return folder() / "docs/images/diagrams"


def _index() -> str:
    rows = (
        f'<li><a href="{AT}/{name}">{escape(_read(one)[0])}</a></li>'
        for name, one in pages().items()
    )
    return "<h1>Pages</h1>\n<ul>\n" + "\n".join(rows) + "\n</ul>\n"


def _read(file: Path) -> tuple[str, str]:
    """Give title and body of a page. What stands in it as HTML is shown, not obeyed."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(file.read_text())
    for n, token in enumerate(tokens):
        if token.type == "heading_open":
            words = re.sub(r"[^\w\- ]", "", tokens[n + 1].content.lower())
            token.attrSet("id", words.replace(" ", "-"))
        if token.type == "fence" and token.info == "mermaid":
            tokens[n] = Token("html_block", "", 0, content=_diagram(token.content))
        for child in token.children or ():
            _relink(file, child)
    title = next((tokens[n + 1].content for n, one in enumerate(tokens) if one.tag == "h1"), "")
    return title, cast("str", reader.renderer.render(tokens, reader.options, {}))


def _diagram(text: str) -> str:
    name = drawing(text)
    if not (_drawings() / name).exists():
        return TEXT.format(open=" open", text=escape(text))
    shown = f'<p><img src="{AT}/{name}" alt="A diagram, whose text follows"></p>\n'
    return shown + TEXT.format(open="", text=escape(text))


def _relink(file: Path, token: Token) -> None:
    """Let links between the pages lead to what is shown; those to other files lead nowhere."""
    if token.type != "link_open":
        return
    target, sign, anchor = str(token.attrs["href"]).partition("#")
    if not target or target.startswith(("http:", "https:")):
        return
    names = {page.resolve(): name for name, page in pages().items()}
    if name := names.get((file.parent / target).resolve()):
        token.attrs["href"] = f"{AT}/{name}{sign}{anchor}"
    else:
        del token.attrs["href"]
        token.attrs["title"] = target
