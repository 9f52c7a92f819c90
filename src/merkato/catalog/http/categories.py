"""Routes of categories: the tree for everybody, its changes for staff."""

from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post

from merkato.catalog.actions import categories as actions
from merkato.catalog.domain.categories import Branch, CategoryPatch, NewCategory, Node, tree
from merkato.catalog.domain.words import Words
from merkato.catalog.http.pages import LocaleParam, Shop
from merkato.catalog.http.products import MAY_WRITE
from merkato.catalog.store import categories as store
from merkato.chassis.db import Database, Tx
from merkato.chassis.http import (
    ANYONE,
    IdempotencyKey,
    IfMatch,
    Page,
    etag,
    expected_version,
    respond,
)
from merkato.chassis.idempotency import Answer, once, parse_key
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound

CATEGORIES = "/api/v1/categories"


class CategoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A category in the words of one locale, with the way to it and what is right below."""

    id: UUID
    parent_id: UUID | None
    position: int
    locale: str
    slug: str
    title: str
    description: str
    path: list[Node]  # from the top, without the category itself
    children: list[Node]
    texts: dict[str, Words]


@get(CATEGORIES, policy=ANYONE)
async def read_tree(db: Database, shop: Shop, locale: LocaleParam = None) -> Page[Branch]:
    """Give the whole tree of categories, siblings in order."""
    async with db.reading() as tx:
        nodes = await store.nodes(tx, shop.locales(locale))
    return Page(items=tree(nodes))


@get(f"{CATEGORIES}/{{category_id:str}}", policy=ANYONE, answers=CategoryPage)
async def read_category(
    category_id: str, db: Database, shop: Shop, locale: LocaleParam = None
) -> Response[bytes]:
    """Give a category by id or slug."""
    async with db.transaction(snapshot=True) as tx:
        found = await store.find(tx, category_id, shop.locales(locale))
        if found is None:
            raise NotFound("There is no such category.")
        answer = await _page(tx, found, shop, locale)
    return respond(answer)


@post(CATEGORIES, policy=MAY_WRITE, answers=CategoryPage)
async def create_category(
    data: NewCategory, caller: Caller, db: Database, shop: Shop,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:  # fmt: skip
    """Make a category, at the top or below another. 409 when a slug is taken."""
    category_id = new_id()

    async def work(tx: Tx) -> Answer:
        await actions.create(tx, caller, category_id, data, shop.default_locale)
        made = await _page(tx, category_id, shop, None)
        headers = {**made.headers, "Location": f"{CATEGORIES}/{category_id}"}
        return Answer(201, made.body, headers)

    key = parse_key(idempotency_key, required=False)
    return respond(await once(db, (caller.principal, f"POST {CATEGORIES}", key), data, work))


@patch(f"{CATEGORIES}/{{category_id:uuid}}", policy=MAY_WRITE, answers=CategoryPage)
async def change_category(
    category_id: UUID,
    data: CategoryPatch,
    caller: Caller,
    db: Database,
    shop: Shop,
    if_match: IfMatch = None,
) -> Response[bytes]:
    """Change or move a category. Needs If-Match; 409 for a place below itself."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await actions.change(tx, caller, category_id, data, expected, shop.default_locale)
        answer = await _page(tx, category_id, shop, None)
    return respond(answer)


@delete(f"{CATEGORIES}/{{category_id:uuid}}", policy=MAY_WRITE)
async def delete_category(
    category_id: UUID, caller: Caller, db: Database, if_match: IfMatch = None
) -> None:
    """Delete a category that nothing is below; its products stay. Needs If-Match."""
    async with db.transaction() as tx:
        await actions.delete(tx, caller, category_id, expected_version(if_match))


async def _page(tx: Tx, category_id: UUID, shop: Shop, locale: str | None) -> Answer:
    category = await store.read(tx, category_id)
    if category is None:
        raise NotFound("There is no such category.")
    locales = shop.locales(locale)
    nodes = {node.id: node for node in await store.nodes(tx, locales)}
    above = await store.path(tx, category_id)
    shown = next(code for code in locales if code in category.texts)
    words = category.texts[shown]
    page = CategoryPage(
        id=category.id, parent_id=category.parent_id, position=category.position, locale=shown,
        slug=words.slug or "", title=words.title, description=words.description,
        path=[nodes[each] for each in above[:-1]],
        children=[node for node in nodes.values() if node.parent_id == category_id],
        texts=category.texts,
    )  # fmt: skip
    return Answer(200, msgspec.json.encode(page), {"ETag": etag(category.version)})


ROUTES = (read_tree, read_category, create_category, change_category, delete_category)
