"""Statements that keep and read the tree of categories."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.catalog.domain.categories import Category, Known, Node
from merkato.catalog.domain.words import Words, is_uuid
from merkato.chassis.db import Tx

HOLD_TREE = "select pg_advisory_xact_lock(hashtextextended('catalog category tree', 0))"


async def hold_tree(tx: Tx) -> None:
    """Keep others from changing the shape of the tree until this ends; taken before any row."""
    await tx.fetchval(HOLD_TREE)


LOCK = """
select c.id, c.parent_id, c.position, c.version,
       (select jsonb_object_agg(t.locale, jsonb_build_object(
                  'title', t.title, 'description', t.description, 'slug', t.slug))
          from category_texts t where t.category_id = c.id) as texts
  from categories c where c.id = $1 for update of c
"""


async def lock(tx: Tx, category_id: UUID) -> Category | None:
    """Read a category and keep others from changing it; the tree is held, so nobody else does."""
    row = await tx.fetchrow(LOCK, category_id)
    return row and msgspec.convert(dict(row), Category)


PATH = """
with recursive above (id, parent_id, depth) as (
    select id, parent_id, 1 from categories where id = $1
    union all
    select c.id, c.parent_id, a.depth + 1 from categories c join above a on c.id = a.parent_id
     where a.depth < 100)
select id from above order by depth desc
"""


async def path(tx: Tx, category_id: UUID) -> list[UUID]:
    """List the ids from the top down to the category; empty when there is none."""
    return [row["id"] for row in await tx.fetch(PATH, category_id)]


INSERT = "insert into categories (id, parent_id, position) values ($1, $2, $3)"


async def insert(tx: Tx, category_id: UUID, parent_id: UUID | None, position: int) -> None:
    """Keep a new category without its texts."""
    await tx.execute(INSERT, category_id, parent_id, position)


UPDATE = """
update categories set parent_id = $2, position = $3, version = version + 1 where id = $1
"""


async def update(tx: Tx, category_id: UUID, parent_id: UUID | None, position: int) -> None:
    """Keep where a category stands; its version grows."""
    await tx.execute(UPDATE, category_id, parent_id, position)


DROP_TEXTS = "delete from category_texts where category_id = $1"


async def _drop_texts(tx: Tx, category_id: UUID) -> None:
    await tx.execute(DROP_TEXTS, category_id)


ADD_TEXTS = """
insert into category_texts (category_id, locale, title, description, slug)
select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[])
on conflict do nothing returning locale
"""


async def replace_texts(tx: Tx, category_id: UUID, texts: Mapping[str, Words]) -> str | None:
    """Keep a category's texts. Gives a locale whose slug is taken, if any."""
    await _drop_texts(tx, category_id)
    locales = sorted(texts)
    every = [texts[locale] for locale in locales]
    rows = await tx.fetch(
        ADD_TEXTS, category_id, locales, [text.title for text in every],
        [text.description for text in every], [text.slug for text in every],
    )  # fmt: skip
    return next(iter(set(locales) - {row["locale"] for row in rows}), None)


HAS_CHILDREN = "select exists (select from categories where parent_id = $1)"


async def has_children(tx: Tx, category_id: UUID) -> bool:
    """Tell whether anything is below a category."""
    return bool(await tx.fetchval(HAS_CHILDREN, category_id))


MEMBERS = """
select product_id from product_categories where category_id = $1 order by product_id limit $2
"""


async def members(tx: Tx, category_id: UUID, limit: int) -> list[UUID]:
    """List the products in a category, in the order in which products are locked."""
    return [row["product_id"] for row in await tx.fetch(MEMBERS, category_id, limit)]


DELETE = "delete from categories where id = $1"


async def delete(tx: Tx, category_id: UUID) -> None:
    """Forget a category that nothing is below."""
    await tx.execute(DELETE, category_id)


NODES = """
select c.id, c.parent_id, t.slug, t.title
  from categories c
  join lateral (select t.slug, t.title from category_texts t
                 where t.category_id = c.id and t.locale = any($1)
                 order by array_position($1::text[], t.locale) limit 1) t on true
 order by c.position, t.title, c.id
"""


async def nodes(tx: Tx, locales: Sequence[str]) -> list[Node]:
    """List all categories, siblings in order."""
    return [msgspec.convert(dict(row), Node) for row in await tx.fetch(NODES, list(locales))]


KNOWN = """
select k.version, n.*
  from category_tree k
  left join (select c.id, c.parent_id, t.slug, t.title
               from categories c
               join lateral (select t.slug, t.title from category_texts t
                              where t.category_id = c.id and t.locale = any($1)
                              order by array_position($1::text[], t.locale) limit 1) t on true
            ) n on true
 order by n.title, n.id
"""


async def known(tx: Tx, locales: Sequence[str]) -> Known:
    """Give all categories as they are now, to count products in."""
    rows = await tx.fetch(KNOWN, list(locales))
    nodes = [
        Node(id=row["id"], parent_id=row["parent_id"], slug=row["slug"], title=row["title"])
        for row in rows
        if row["id"] is not None
    ]
    return Known(rows[0]["version"], nodes)


FIND = """
select category_id from category_texts where slug = $1
 order by array_position($2::text[], locale) nulls last, locale limit 1
"""


async def find(tx: Tx, name: str, locales: Sequence[str]) -> UUID | None:
    """Give the id that an id or a slug means; the id may be nobody's."""
    if is_uuid(name):
        return UUID(name)
    category_id: UUID | None = await tx.fetchval(FIND, name, list(locales))
    return category_id


READ = """
select c.id, c.parent_id, c.position, c.version,
       (select jsonb_object_agg(t.locale, jsonb_build_object(
                  'title', t.title, 'description', t.description, 'slug', t.slug))
          from category_texts t where t.category_id = c.id) as texts
  from categories c where c.id = $1
"""


async def read(tx: Tx, category_id: UUID) -> Category | None:
    """Read a category with all its texts."""
    row = await tx.fetchrow(READ, category_id)
    return row and msgspec.convert(dict(row), Category)


SUBTREE = """
with recursive below (id) as (
    select id from categories where id = $1
    union
    select c.id from categories c join below b on c.parent_id = b.id)
select id from below
"""


async def subtree(tx: Tx, category_id: UUID) -> list[UUID]:
    """List a category and all below it; empty when there is none."""
    return [row["id"] for row in await tx.fetch(SUBTREE, category_id)]
