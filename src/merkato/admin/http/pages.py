"""Drawing a page of the back office, and pages that say why something was refused."""

from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

from litestar import Response

from merkato.admin import domain
from merkato.admin.domain import desk
from merkato.admin.domain.goods import Wrong
from merkato.admin.templates import Templates
from merkato.chassis.ask import Refusal
from merkato.chassis.visit import masked
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import Unauthenticated

# What the API says in the words of HTTP, in those of people.
KINDLY = {
    "precondition-failed": (
        "Somebody changed this meanwhile. Look at what is here now, then try again."
    ),
    "precondition-required": "This is there already. Open it from its list to change it.",
    "payload-too-large": "The file is too large.",
}
PUBLIC = ("login.html", "acceptance.html")  # for whoever has not logged in


class Pages:
    """Draws pages for visits."""

    def __init__(self, templates: Templates, currency: str, locale: str) -> None:
        self.templates, self.currency, self.locale = templates, currency, locale

    def draw(self, visit: Visit, name: str, *, status: int = 200, **values: Any) -> Response[str]:
        """Draw a page. Raises Unauthenticated for whoever has not logged in."""
        if not visit.session.logged_in and name not in PUBLIC:
            raise Unauthenticated("Log in first.")
        body = self.templates.draw(name, self._around(visit) | values)
        return Response(body, status_code=status, media_type="text/html")

    def failed(self, visit: Visit, status: int, slug: str, detail: str) -> Response[str]:
        """Draw the page of an error; whoever has to log in is sent there."""
        if slug == "unauthenticated":
            visit.session.log_out()
            return see_other("/admin/login")
        values = {"status": status, "slug": slug, "detail": detail}
        body = self.templates.draw("error.html", self._around(visit) | values)
        return Response(body, status_code=status, media_type="text/html")

    async def done(
        self, visit: Visit, back: str, said: str, doing: Awaitable[Any]
    ) -> Response[str]:
        """Have something done; says that it was, or why it was refused, and goes back."""
        try:
            await doing
            visit.notice(said)
        except Refusal as refusal:
            self.tell(visit, refusal)
        return see_other(back)

    def tell(self, visit: Visit, wrong: Wrong | Refusal) -> None:
        """Say on the page that is drawn next what was wrong. Raises a refusal of the login."""
        if isinstance(wrong, Refusal) and wrong.status == 401:
            raise wrong
        visit.notice(self.why(wrong) if isinstance(wrong, Refusal) else str(wrong), "bad")

    def why(self, refusal: Refusal) -> str:
        """Say why the API refused, with the fields it named."""
        if refusal.slug in KINDLY:
            return KINDLY[refusal.slug]
        problem = refusal.problem
        said = [str(problem.get("detail") or problem.get("title") or "It was refused.")]
        for error in problem.get("errors") or ():
            place = str(error.get("pointer", "")).strip("/ ")
            said.append(f"{place}: {error.get('detail', '')}" if place else error.get("detail", ""))
        return " ".join(said)

    def _around(self, visit: Visit) -> dict[str, Any]:
        return {
            "menu": domain.MENU, "tables": domain.TABLES, "notices": visit.take_notices(),
            "path": visit.path, "theme": visit.session.theme, "name": visit.session.name,
            "logged_in": visit.session.logged_in, "key": uuid4().hex, "currency": self.currency,
            "csrf_token": lambda: masked(visit.csrf),
        }  # fmt: skip


def inert(html: str) -> Response[str]:
    """Answer with a page that was written elsewhere and can do nothing here, such as a mail.

    No script, no request, no link that leads away; its own styles alone, each by its hash.
    """
    policy = "sandbox; default-src 'none'; img-src data:; frame-ancestors 'self'"
    if styles := desk.allowed_styles(html):
        policy += f"; style-src {styles}"
    headers = {"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
    return Response(html or " ", headers=headers, media_type="text/html")
