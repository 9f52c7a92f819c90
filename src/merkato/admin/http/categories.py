"""Categories: their tree, and one of them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from litestar import Response, get, post

from merkato.admin.domain import goods as domain
from merkato.admin.http.pages import Pages
from merkato.admin.http.products import LOCALES
from merkato.admin.store import goods as store
from merkato.chassis.ask import Refusal
from merkato.chassis.http import ANYONE
from merkato.chassis.web import Visit, see_other
from merkato.contracts.problem import NotFound

LIST = "/admin/t/categories"


@get(LIST, policy=ANYONE)
async def show_tree(visit: Visit, pages: Pages) -> Response[str]:
    """Show the tree."""
    tree = domain.flat(await store.tree(visit.api))
    return pages.draw(visit, "categories.html", categories=tree, typed={})


@post(LIST, policy=ANYONE)
async def create(visit: Visit, pages: Pages) -> Response[str]:
    """Make a category behind its siblings."""
    form = visit.form
    try:
        parent = form.get("parent_id") or None
        tree = await store.tree(visit.api)
        body = {
            "parent_id": parent, "position": len(_siblings(tree, parent)),
            "texts": {pages.locale: {"title": form.get("title", "")}},
        }  # fmt: skip
        made = await visit.api.send("POST", store.CATEGORIES, body, key=form.get("key"))
    except Refusal as refusal:
        pages.tell(visit, refusal)
        tree = domain.flat(await store.tree(visit.api))
        return pages.draw(visit, "categories.html", categories=tree, typed=form)
    visit.notice(f"“{made['title']}” is there.")
    return see_other(f"{LIST}#c-{made['id']}")


def _siblings(tree: Sequence[Mapping[str, Any]], parent: str | None) -> Sequence[Mapping[str, Any]]:
    """Give what is right below a category, or at the top."""
    if parent is None:
        return tree
    found = [one for one in domain.flat(tree) if one["id"] == parent]
    return found[0]["children"] if found else []


@post("/admin/categories/{category_id:uuid}/order", policy=ANYONE)
async def reorder(category_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Move a category one place up or down among its siblings."""
    by = {"up": -1, "down": 1}.get(visit.form.get("do", ""))
    if by is None:
        raise NotFound("There is nothing here.")
    doing = _reorder(visit, str(category_id), by)
    return await pages.done(visit, f"{LIST}#c-{category_id}", "Moved.", doing)


async def _reorder(visit: Visit, category_id: str, by: int) -> None:
    tree = await store.tree(visit.api)
    here = next((one for one in domain.flat(tree) if one["id"] == category_id), None)
    if here is None:
        return
    order = [one["id"] for one in _siblings(tree, here["parent_id"])]
    place = order.index(category_id)
    order.insert(max(0, place + by), order.pop(place))
    found = await asyncio.gather(*(store.category(visit.api, one) for one in order))
    for place, (one, etag) in enumerate(found):
        if one["position"] != place:
            await store.change_category(visit.api, one["id"], {"position": place}, etag)


@get("/admin/categories/{category_id:uuid}", policy=ANYONE)
async def show_category(category_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Show a category: its texts, its place, and what is in it."""
    return await _draw(str(category_id), visit, pages, {})


async def _draw(
    category_id: str, visit: Visit, pages: Pages, typed: Mapping[str, str]
) -> Response[str]:
    (category, etag), tree = await asyncio.gather(
        store.category(visit.api, category_id), store.tree(visit.api)
    )  # fmt: skip
    texts = domain.typed_texts(typed, category["texts"])
    page = await store.records(visit.api, {"category": category["slug"], "limit": 1})
    return pages.draw(
        visit, "category.html", category=category, etag=etag, texts=texts, locale=pages.locale,
        typed=typed,
        languages=list(dict.fromkeys((pages.locale, *LOCALES, *texts))),
        categories=domain.flat(tree), beneath=domain.below(tree, category_id),
        is_empty=not page["items"], parent=typed.get("parent_id", category["parent_id"] or ""),
    )  # fmt: skip


@post("/admin/categories/{category_id:uuid}", policy=ANYONE)
async def change_category(category_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Rename, translate or move a category."""
    form = visit.form
    try:
        before, _ = await store.category(visit.api, str(category_id))
        parent = form.get("parent_id") or None
        change: dict[str, Any] = {"texts": domain.texts(form, before["texts"])}
        if parent != before["parent_id"]:
            tree = await store.tree(visit.api)
            if parent in domain.below(tree, str(category_id)):
                raise domain.Wrong(
                    f"“{before['title']}” cannot be moved into itself or into what is below it. "
                    "Move the other one out first."
                )
            change |= {"parent_id": parent, "position": len(_siblings(tree, parent))}
        etag = form.get("etag", "")
        await store.change_category(visit.api, str(category_id), change, etag)
    except (domain.Wrong, Refusal) as wrong:
        pages.tell(visit, wrong)
        return await _draw(str(category_id), visit, pages, form)
    visit.notice("Saved.")
    return see_other(f"{LIST}#c-{category_id}")


@post("/admin/categories/{category_id:uuid}/delete", policy=ANYONE)
async def delete_category(category_id: UUID, visit: Visit, pages: Pages) -> Response[str]:
    """Delete a category that nothing is below; its products stay."""
    path = f"{store.CATEGORIES}/{category_id}"
    doing = store.delete_tagged(visit.api, path, visit.form.get("etag", ""))
    return await pages.done(visit, LIST, "It is gone; its products stay.", doing)


ROUTES = (show_tree, create, reorder, show_category, change_category, delete_category)
