"""The frame of every page of the stand-ins, and the escaping of what goes into it."""

from collections.abc import Iterable
from html import escape

FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/standin.css">
</head>
<body>
<p class="banner">{banner}</p>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""

# The processor's currencies that do not have two digits after the point.
_WITHOUT_DIGITS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THREE_DIGITS = "bhd jod kwd omr tnd"


def page(title: str, banner: str, content: str) -> str:
    """Give a whole page. `title` and `banner` are escaped here; `content` is HTML already."""
    return FRAME.format(title=escape(title), banner=escape(banner), content=content)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Give a table. The head is escaped here; the cells are HTML already."""
    names = list(head)
    titles = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(
        "<tr>"
        + "".join(f'<td data-name="{escape(n)}">{c}</td>' for n, c in zip(names, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def money(amount_minor: int, currency: str) -> str:
    """Give an amount as people write it: `45.99 EUR`. Escaped."""
    digits = 0 if currency in _WITHOUT_DIGITS else 3 if currency in _THREE_DIGITS else 2
    whole, part = divmod(amount_minor, 10**digits)
    shown = f"{whole:,}.{part:0{digits}}" if digits else f"{whole:,}"
    return escape(f"{shown} {currency.upper()}")
