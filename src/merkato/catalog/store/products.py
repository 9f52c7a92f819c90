"""Statements that keep products, their texts, variants and prices."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import ALWAYS, PriceRow, Product, Variant
from merkato.catalog.domain.words import language, words
from merkato.chassis.db import Tx
from merkato.contracts.catalog import Price


async def lock(tx: Tx, product_id: UUID) -> Product | None:
    """Read a product whole and keep others from changing it, its variants included."""
    if not await lock_all(tx, [product_id]):
        return None
    return await _read(tx, product_id)


LOCK_ALL = "select id from products where id = any($1) order by id for update"


async def lock_all(tx: Tx, product_ids: Sequence[UUID]) -> list[UUID]:
    """Lock products in the order of their ids."""
    return [row["id"] for row in await tx.fetch(LOCK_ALL, list(product_ids))]


READ = """
select p.id, p.status, p.version, p.options, p.attributes, p.metadata,
       (select jsonb_object_agg(t.locale, jsonb_build_object(
                  'title', t.title, 'description', t.description, 'slug', t.slug))
          from product_texts t where t.product_id = p.id) as texts,
       (select coalesce(jsonb_agg(c.category_id order by c.category_id), '[]')
          from product_categories c where c.product_id = p.id) as categories,
       (select coalesce(jsonb_agg(to_jsonb(v) order by v.position, v.sku), '[]')
          from variants v where v.product_id = p.id) as variants,
       (select coalesce(jsonb_agg(to_jsonb(i) order by i.position), '[]')
          from images i where i.product_id = p.id) as images
  from products p where p.id = $1
"""


async def _read(tx: Tx, product_id: UUID) -> Product:
    """Read a product that is locked; a statement that waits for the lock would read old rows."""
    return msgspec.convert(dict(await tx.fetchrow(READ, product_id) or {}), Product)


PRODUCT_OF = "select product_id from variants where lower(sku) = lower($1)"


async def product_of(tx: Tx, sku: str) -> UUID | None:
    """Find the product that a sku belongs to; the case does not matter."""
    product_id: UUID | None = await tx.fetchval(PRODUCT_OF, sku)
    return product_id


INSERT = """
insert into products (id, status, options, attributes, metadata, published_at)
values ($1, $2, $3, $4, $5, case when $2 = 'active' then clock_timestamp() end)
"""


async def insert(tx: Tx, product: Product) -> None:
    """Keep a new product, without its texts, categories and variants."""
    await tx.execute(
        INSERT, product.id, product.status, product.options, product.attributes, product.metadata
    )


UPDATE = """
update products set status = $2, options = $3, attributes = $4, metadata = $5, version = $6,
       changed_at = clock_timestamp(),
       published_at = coalesce(published_at, case when $2 = 'active' then clock_timestamp() end)
 where id = $1
"""


async def update(tx: Tx, product: Product) -> None:
    """Keep a product that changed; its row is locked."""
    await tx.execute(
        UPDATE, product.id, product.status, product.options, product.attributes, product.metadata,
        product.version,
    )  # fmt: skip


async def replace_texts(tx: Tx, product: Product) -> str | None:
    """Keep a product's texts. Gives a locale whose slug another living product has, if any."""
    await _remember_slugs(tx, product)
    await _drop_texts(tx, product.id)
    return await _add_texts(tx, product)


REMEMBER_SLUGS = """
insert into old_slugs (slug, locale, product_id)
select slug, locale, product_id from product_texts
 where product_id = $1 and slug <> all($2::text[]) order by slug, locale
on conflict (slug, locale) do update
   set product_id = excluded.product_id, ended_at = excluded.ended_at
"""


async def _remember_slugs(tx: Tx, product: Product) -> None:
    await tx.execute(REMEMBER_SLUGS, product.id, [text.slug for text in product.texts.values()])


DROP_TEXTS = "delete from product_texts where product_id = $1"


async def _drop_texts(tx: Tx, product_id: UUID) -> None:
    await tx.execute(DROP_TEXTS, product_id)


ADD_TEXTS = """
insert into product_texts
       (product_id, locale, title, description, slug, living, sort_title, search)
select $1, locale, title, description, slug, $2, words_a,
       setweight(to_tsvector('simple', words_a), 'A')
         || setweight(to_tsvector(config::regconfig, words_a), 'A')
         || setweight(to_tsvector('simple', words_d), 'D')
         || setweight(to_tsvector(config::regconfig, words_d), 'D')
  from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
       t(locale, title, description, slug, config, words_a, words_d)
 order by locale
on conflict do nothing returning locale
"""


async def _add_texts(tx: Tx, product: Product) -> str | None:
    locales = sorted(product.texts)
    every = [product.texts[locale] for locale in locales]
    rows = await tx.fetch(
        ADD_TEXTS, product.id, product.status != "archived", locales,
        [text.title for text in every], [text.description for text in every],
        [text.slug for text in every], [language(locale) for locale in locales],
        [" ".join(words(text.title)) for text in every],
        [" ".join(words(text.description)) for text in every],
    )  # fmt: skip
    return next(iter(set(locales) - {row["locale"] for row in rows}), None)


DROP_CATEGORIES = "delete from product_categories where product_id = $1"


async def _drop_categories(tx: Tx, product_id: UUID) -> None:
    await tx.execute(DROP_CATEGORIES, product_id)


PUT_CATEGORIES = """
insert into product_categories (product_id, category_id)
select $1, id from (select id from categories where id = any($2) order by id for key share) c
"""


async def replace_categories(tx: Tx, product: Product) -> bool:
    """Keep which categories a product is in. False when one of them does not exist."""
    await _drop_categories(tx, product.id)
    done = await tx.execute(PUT_CATEGORIES, product.id, list(product.categories))
    return done == len(product.categories)


ADD_VARIANTS = """
insert into variants (sku, product_id, position, options, track_stock, requires_shipping, weight_g,
                      tax_class, image, metadata)
select sku, $1, position, options, track_stock, requires_shipping, weight_g, tax_class, image,
       metadata
  from unnest($2::text[], $3::int[], $4::jsonb[], $5::bool[], $6::bool[], $7::int[], $8::text[],
              $9::text[], $10::jsonb[])
       v(sku, position, options, track_stock, requires_shipping, weight_g, tax_class, image,
         metadata)
 order by lower(sku)
on conflict do nothing returning sku
"""


async def add_variants(
    tx: Tx, product_id: UUID, variants: Sequence[Variant], first: int
) -> str | None:
    """Keep new variants from position `first` on. Gives a sku that is taken, if any."""
    rows = await tx.fetch(
        ADD_VARIANTS, product_id, [v.sku for v in variants],
        list(range(first, first + len(variants))), [v.options for v in variants],
        [v.track_stock for v in variants], [v.requires_shipping for v in variants],
        [v.weight_g for v in variants], [v.tax_class for v in variants],
        [v.image for v in variants], [v.metadata for v in variants],
    )  # fmt: skip
    return next(iter({v.sku for v in variants} - {row["sku"] for row in rows}), None)


UPDATE_VARIANT = """
update variants set options = $2, track_stock = $3, requires_shipping = $4, weight_g = $5,
       tax_class = $6, image = $7, metadata = $8, archived = $9
 where sku = $1
"""


async def update_variant(tx: Tx, variant: Variant) -> None:
    """Keep a variant that changed; its row is locked."""
    await tx.execute(
        UPDATE_VARIANT, variant.sku, variant.options, variant.track_stock,
        variant.requires_shipping, variant.weight_g, variant.tax_class, variant.image,
        variant.metadata, variant.archived,
    )  # fmt: skip


DROP_PRICES = "delete from prices where sku = any($1)"


async def _drop_prices(tx: Tx, skus: Sequence[str]) -> None:
    await tx.execute(DROP_PRICES, list(skus))


ADD_PRICES = """
insert into prices (sku, price_list, currency, from_quantity, valid_from, amount_minor)
select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::bigint[])
"""


async def replace_prices(tx: Tx, prices: Mapping[str, Sequence[PriceRow]]) -> None:
    """Keep all the prices that these skus have from now on."""
    await _drop_prices(tx, sorted(prices))
    rows = [(sku, row) for sku in sorted(prices) for row in prices[sku]]
    await tx.execute(
        ADD_PRICES, [sku for sku, _ in rows], [row.price_list for _, row in rows],
        [row.currency for _, row in rows], [row.from_quantity for _, row in rows],
        [row.valid_from or ALWAYS for _, row in rows], [row.amount_minor for _, row in rows],
    )  # fmt: skip


MARK_SAID = """
update prices set said = true
 where sku = any($1) and not said and valid_from <= clock_timestamp()
"""


async def mark_said(tx: Tx, skus: Sequence[str]) -> None:
    """Note that the prices in force now will have been said. Before they are read: see IN_FORCE."""
    await tx.execute(MARK_SAID, list(skus))


IN_FORCE = """
select sku, price_list, currency, from_quantity, amount_minor, tax_included
  from prices_in_force($1)
"""


async def in_force(tx: Tx, skus: Sequence[str]) -> dict[str, list[Price]]:
    """Map sku to its prices in force; one that comes into force meanwhile is said twice."""
    found: dict[str, list[Price]] = {sku: [] for sku in skus}
    for row in await tx.fetch(IN_FORCE, list(skus)):
        price = {name: value for name, value in row.items() if name != "sku"}
        found[row["sku"]].append(Price(**price))
    return found


ANNOUNCE = """
update variants v set version = v.version + 1, prices = n.prices
  from jsonb_each($1::jsonb) n(sku, prices) where v.sku = n.sku
returning v.sku, v.version
"""


async def announce(tx: Tx, prices: Mapping[str, Sequence[Price]]) -> dict[str, int]:
    """Keep what is about to be said of these skus and give the version of each; rows are locked."""
    rows = await tx.fetch(ANNOUNCE, prices)
    return {row["sku"]: row["version"] for row in rows}


SHOW = "update products set offers = $2, image = $3 where id = $1"


async def show(tx: Tx, product_id: UUID, lowest: Mapping[str, int], image: str | None) -> None:
    """Keep what lists show of a product: its lowest price by currency, and its image."""
    await tx.execute(SHOW, product_id, lowest, image)


SHOW_STOCK = "update products set in_stock = stock_level(id) where id = any($1)"


async def show_stock(tx: Tx, product_ids: Sequence[UUID]) -> None:
    """Keep what lists show of products: whether anything of them is there; rows are locked."""
    await tx.execute(SHOW_STOCK, list(product_ids))


PRICES_DUE = """
select distinct v.product_id from prices p join variants v using (sku)
 where not p.said and p.valid_from <= clock_timestamp() limit $1
"""


async def prices_due(tx: Tx, limit: int) -> list[UUID]:
    """List products of which a price has come into force that nobody was told of."""
    return [row["product_id"] for row in await tx.fetch(PRICES_DUE, limit)]


DUE_OF = """
select distinct p.sku from prices p join variants v using (sku)
 where v.product_id = $1 and not p.said and p.valid_from <= clock_timestamp() order by p.sku
"""


async def due_of(tx: Tx, product_id: UUID) -> list[str]:
    """List the skus of a locked product whose price has come into force."""
    return [row["sku"] for row in await tx.fetch(DUE_OF, product_id)]
