"""A text of the shop's own. Pure."""

import msgspec


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """A text of the shop's own, in Jinja; version 0 is ours."""

    template: str
    locale: str
    version: int
    subject: str
    summary: str
    text: str
    html: str
