"""Dead letters: events that a service could not deal with, looked into and decided."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post

from merkato.admin.domain import desk
from merkato.admin.domain.goods import Wrong
from merkato.admin.http.pages import Pages
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import NotFound

LETTERS = "/api/v1/dead-letters"
LIST, HERE = "/admin/t/dead-letters", "/admin/dead-letters"
ON_PAGE = 50
NAMES = ("service", "state", "type", "key")
STATES = ("waiting", "dead", "done", "discarded")
SAID = {"retry": "tried again", "discard": "given up"}


@get(LIST, policy=ANYONE)
async def show_letters(
    request: Request[Any, Any, Any], visit: Visit, pages: Pages
) -> Response[str]:
    """List letters; those that are open, unless another state is asked for."""
    asked = {name: str(request.query_params.get(name, "")).strip() for name in NAMES}
    query = {name: value for name, value in asked.items() if value}
    cursor = request.query_params.get("cursor")
    found = await visit.api.get(LETTERS, limit=ON_PAGE, cursor=cursor, **query)
    more = found["next_cursor"]
    return pages.draw(
        visit, "letters.html", letters=found["items"], asked=asked, states=STATES,
        unavailable=found["unavailable"],
        more=f"{LIST}?{urlencode([*query.items(), ('cursor', more)])}" if more else None,
    )  # fmt: skip


@post(f"{HERE}/bulk", policy=ANYONE)
async def decide_many(visit: Visit, pages: Pages) -> Response[str]:
    """Have the chosen ones tried again, or give them up."""
    what, _, listed = visit.form.get("do", "").partition("-")
    wanted = "listed" if listed else "id"
    ids = [value for field, value in visit.fields if field == wanted]
    if what not in SAID or not ids:
        visit.notice("Choose some letters first.", "bad")
        return see_other(LIST)
    try:
        done = await visit.api.send("POST", f"{LETTERS}/{what}", {"ids": ids})
        visit.notice(f"{done['count']} of {len(ids)} are {SAID[what]}.")
        if done["unavailable"]:
            visit.notice(f"{', '.join(done['unavailable'])} did not answer.", "bad")
    except Refusal as refusal:
        pages.tell(visit, refusal)
    return see_other(LIST)


@get(f"{HERE}/{{letter_id:str}}", policy=ANYONE)
async def show_letter(letter_id: str, visit: Visit, pages: Pages) -> Response[str]:
    """Look inside a letter."""
    found = await visit.api.get(f"{LETTERS}/{segment(letter_id)}")
    return pages.draw(visit, "letter.html", letter=found, typed="")


@post(f"{HERE}/{{letter_id:str}}/edit", policy=ANYONE)
async def edit_letter(letter_id: str, visit: Visit, pages: Pages) -> Response[str]:
    """Put an event with other data in its place, and have that tried."""
    path = f"{LETTERS}/{segment(letter_id)}"
    found = await visit.api.get(path)
    typed = visit.form.get("data", "")
    try:
        change = desk.patch(found["data"] or {}, desk.edited(typed))
        if not change:
            raise Wrong("Nothing is different; try it again instead.")
        made = await visit.api.send(
            "POST", f"{path}/edit", {"data": change}, key=visit.form.get("key")
        )
    except (Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return pages.draw(visit, "letter.html", letter=found, typed=typed)
    visit.notice("An edited event is in its place, and is tried now.")
    return see_other(f"{HERE}/{segment(made['id'])}")


@post(f"{HERE}/{{letter_id:str}}/{{what:str}}", policy=ANYONE)
async def decide_letter(letter_id: str, what: str, visit: Visit, pages: Pages) -> Response[str]:
    """Have it tried again, or give it up; those behind it go on."""
    if what not in SAID:
        raise NotFound("There is nothing here.")
    path = f"{LETTERS}/{segment(letter_id)}/{what}"
    doing = visit.api.send("POST", path, key=visit.form.get("key"))
    back = f"{HERE}/{segment(letter_id)}"
    return await pages.done(visit, back, f"It is {SAID[what]}.", doing)


ROUTES = (show_letters, decide_many, show_letter, edit_letter, decide_letter)
