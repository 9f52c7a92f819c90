"""Texts that the shop writes in place of ours: a small part of Jinja, in its sandbox.

What may be written is named, everything else is refused: names of the data, `if`, one level of
`for`, a few filters and the parts that our own texts are made of. No text can loop for long, reach
into the program or load anything. HTML is checked as it comes out: known elements only, links of
the web and of mail only, and data that tries to break out changes nothing of its structure.
"""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from merkato.contracts.problem import Validation

PARTS = ("subject", "summary", "text", "html")
LENGTH_MAX = {"subject": 200, "summary": 400, "text": 20_000, "html": 40_000}
OUTPUT_MAX = 400_000  # characters of a part, rendered with sample data
FUNCTIONS = {"money", "why", "credit", "order", "goods", "button", "heading"}  # see parts.html
FILTERS = {"upper", "lower", "title", "capitalize", "trim", "length", "first", "last", "truncate"}
NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr,
    nodes.Getitem, nodes.If, nodes.For, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.CondExpr, nodes.Concat, nodes.Call, nodes.Filter,
)  # fmt: skip
TRUSTED = {"order_url", "tracking_url", "link", "shop_url"}  # made or checked by us
HOSTILE = """"'><script>x</script></p><a href=javascript:x onclick=x y="{{ 7 }};a:url(x)\r\nX: y"""

# fmt: off
_ELEMENTS = {
    "a", "b", "blockquote", "br", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "img", "li", "ol",
    "p", "small", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}
_VOID = {"br", "hr", "img"}
_ATTRIBUTES = {
    "align", "alt", "border", "cellpadding", "cellspacing", "class", "colspan", "height", "href",
    "lang", "role", "rowspan", "src", "style", "title", "valign", "width",
}
# fmt: on
_LINK = re.compile(r"(https?://|mailto:|tel:|#)", re.I)
_STYLE = re.compile(r"url\s*\(|expression|@import|\\|position\s*:", re.I)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without its own functions."""

    def __init__(self, *, html: bool) -> None:
        super().__init__(
            autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self.globals.clear()


TEXT, HTML = _Sandbox(html=False), _Sandbox(html=True)


def environment(part: str) -> _Sandbox:
    """Give where a part is compiled: only HTML is escaped."""
    return HTML if part == "html" else TEXT


def check_source(part: str, source: str) -> None:
    """See that a part is made of what is allowed. Raises Validation with the line."""
    if len(source) > LENGTH_MAX[part]:
        raise Validation.at(f"/{part}", f"At most {LENGTH_MAX[part]} characters.")
    try:
        tree = environment(part).parse(source)
    except TemplateSyntaxError as wrong:
        raise Validation.at(f"/{part}", f"Line {wrong.lineno}: {wrong.message}") from wrong
    except RecursionError as deep:
        raise Validation.at(f"/{part}", "This is nested too deeply.") from deep
    for node, loops in _walk(tree, 0):
        if why := _offence(node, loops):
            line = getattr(node, "lineno", 1)
            raise Validation.at(f"/{part}", f"Line {line}: {why}")


def _walk(node: nodes.Node, loops: int) -> Any:
    yield node, loops
    inside = loops + isinstance(node, nodes.For)
    for child in node.iter_child_nodes():
        yield from _walk(child, inside)


def _offence(node: nodes.Node, loops: int) -> str | None:
    match node:
        case nodes.For() if loops or not isinstance(node.iter, nodes.Name | nodes.Getattr):
            return "a loop runs over data, and not inside of another."
        case nodes.For() if node.recursive or not isinstance(node.target, nodes.Name):
            return "write a loop as: for line in lines."
        case nodes.Call():
            named = isinstance(node.node, nodes.Name) and node.node.name in FUNCTIONS
            if not named or node.dyn_args or node.dyn_kwargs:
                return f"only these can be called: {', '.join(sorted(FUNCTIONS))}."
        case nodes.Filter() if node.name not in FILTERS:
            return f"only these filters: {', '.join(sorted(FILTERS))}."
        case nodes.Getattr() if node.attr.startswith("_"):
            return "names do not begin with an underscore."
        case nodes.Getitem() if not isinstance(node.arg, nodes.Const):
            return "write a fixed name or number in brackets."
        case nodes.Name() if node.ctx != "load" and not loops:
            return "nothing can be set."
    return None if isinstance(node, (*NODES, nodes.Keyword)) else "this is not allowed in a text."


class _Structure(HTMLParser):
    """Reads HTML as a list of elements and attributes, and what is wrong with it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, ...]] = []
        self.open: list[str] = []
        self.wrong: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        if tag not in _ELEMENTS:
            self._refuse(f"<{tag[:20]}> is not allowed.")
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name not in _ATTRIBUTES:
                self._refuse(f"the attribute {name[:20]} is not allowed.")
            elif name in ("href", "src") and not _LINK.match((value or "").strip()):
                self._refuse("a link begins with https://, http://, mailto:, tel: or #.")
            elif name == "style" and _STYLE.search(value or ""):
                self._refuse("this style is not allowed.")

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self.open or self.open.pop() != tag:
            self._refuse(f"</{tag[:20]}> closes nothing.")

    def handle_decl(self, decl: str) -> None:
        self._refuse("declarations are not allowed.")

    def unknown_decl(self, data: str) -> None:
        self._refuse("declarations are not allowed.")

    def handle_pi(self, data: str) -> None:
        self._refuse("instructions are not allowed.")

    def _refuse(self, why: str) -> None:
        self.wrong = self.wrong or why


def structure(html: str) -> list[tuple[str, ...]]:
    """Give the elements of rendered HTML. Raises Validation for what a mail must not hold."""
    reader = _Structure()
    reader.feed(html)
    reader.close()
    if reader.open:
        reader._refuse(f"<{reader.open[-1]}> is not closed.")
    if reader.wrong:
        raise Validation.at("/html", reader.wrong)
    return reader.elements


def hostile(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give data whose every word of other people tries to break out of the text."""
    return {name: _spoilt(name, value) for name, value in data.items()}


def _spoilt(name: str, value: Any) -> Any:
    if isinstance(value, str):
        fixed = name in TRUSTED or name in ("currency", "order_id")
        return value if fixed else HOSTILE
    if isinstance(value, list):
        return [_spoilt(name, one) for one in value]
    return hostile(value) if isinstance(value, dict) else value
