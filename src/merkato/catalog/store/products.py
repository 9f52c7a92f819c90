"""Statements that keep products, their variants and prices."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import (
    ALWAYS,
    PriceRow,
    Product,
    Variant,
    lowest_prices,
    shown_image,
)
from merkato.catalog.store import texts
from merkato.chassis.db import Tx
from merkato.contracts.catalog import Price


async def lock(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, Product]:
    """Read products whole and keep others from changing them, their variants included."""
    found = await lock_all(tx, product_ids)
    return await read(tx, found) if found else {}


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
  from products p where p.id = any($1)
"""


async def read(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, Product]:
    """Read products whole. Lock before, not here: who waits for a lock would read old rows."""
    rows = await tx.fetch(READ, list(product_ids))
    return {row["id"]: msgspec.convert(dict(row), Product) for row in rows}


PRODUCT_OF = "select product_id from variants where lower(sku) = lower($1)"


async def product_of(tx: Tx, sku: str) -> UUID | None:
    """Find the product that a sku belongs to; the case does not matter."""
    product_id: UUID | None = await tx.fetchval(PRODUCT_OF, sku)
    return product_id


INSERT = """
insert into products (id, status, options, attributes, metadata, published_at, categories)
select id, status, options, attributes, metadata,
       case when status = 'active' then clock_timestamp() end,
       array(select jsonb_array_elements_text(categories)::uuid)
  from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::jsonb[], $5::jsonb[], $6::jsonb[])
       p(id, status, options, attributes, metadata, categories)
"""


async def insert(tx: Tx, products: Sequence[Product]) -> None:
    """Keep new products, without their texts and variants; categories go into their table too."""
    await tx.execute(
        INSERT, [p.id for p in products], [p.status for p in products],
        [p.options for p in products], [p.attributes for p in products],
        [p.metadata for p in products], [p.categories for p in products],
    )  # fmt: skip


UPDATE = """
update products p set status = n.status, options = n.options, attributes = n.attributes,
       metadata = n.metadata, version = n.version, changed_at = clock_timestamp(),
       published_at = coalesce(p.published_at,
                               case when n.status = 'active' then clock_timestamp() end),
       categories = array(select jsonb_array_elements_text(n.categories)::uuid)
  from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::jsonb[], $5::jsonb[], $6::bigint[],
              $7::jsonb[])
       n(id, status, options, attributes, metadata, version, categories)
 where p.id = n.id
"""


async def update(tx: Tx, products: Sequence[Product]) -> None:
    """Keep products that changed; their rows are locked."""
    await tx.execute(
        UPDATE, [p.id for p in products], [p.status for p in products],
        [p.options for p in products], [p.attributes for p in products],
        [p.metadata for p in products], [p.version for p in products],
        [p.categories for p in products],
    )  # fmt: skip
    await texts.file(tx, [p.id for p in products])


DROP_CATEGORIES = "delete from product_categories where product_id = any($1)"


async def _drop_categories(tx: Tx, product_ids: Sequence[UUID]) -> None:
    await tx.execute(DROP_CATEGORIES, product_ids)


PUT_CATEGORIES = """
with there as (select id from categories where id = any($2::uuid[]) order by id for key share)
insert into product_categories (product_id, category_id)
select n.product_id, n.category_id
  from unnest($1::uuid[], $2::uuid[]) n(product_id, category_id)
  join there on there.id = n.category_id
"""


async def replace_categories(tx: Tx, products: Sequence[Product]) -> bool:
    """Keep which categories products are in. False when one of them does not exist."""
    await _drop_categories(tx, [product.id for product in products])
    pairs = [(product.id, category) for product in products for category in product.categories]
    done = await tx.execute(PUT_CATEGORIES, [one for one, _ in pairs], [two for _, two in pairs])
    return done == len(pairs)


ADD_VARIANTS = """
insert into variants (sku, product_id, position, options, track_stock, requires_shipping, weight_g,
                      tax_class, image, metadata, archived)
select sku, product_id, position, options, track_stock, requires_shipping, weight_g, tax_class,
       image, metadata, archived
  from unnest($1::text[], $2::uuid[], $3::int[], $4::jsonb[], $5::bool[], $6::bool[], $7::int[],
              $8::text[], $9::text[], $10::jsonb[], $11::bool[])
       v(sku, product_id, position, options, track_stock, requires_shipping, weight_g, tax_class,
         image, metadata, archived)
 order by lower(sku)
on conflict do nothing returning sku
"""


async def add_variants(tx: Tx, new: Sequence[tuple[Product, Variant]]) -> str | None:
    """Keep new variants where their products have them. Gives a sku that is taken, if any."""
    variants = [variant for _, variant in new]
    rows = await tx.fetch(
        ADD_VARIANTS, [v.sku for v in variants], [product.id for product, _ in new],
        [product.variants.index(variant) for product, variant in new],
        [v.options for v in variants], [v.track_stock for v in variants],
        [v.requires_shipping for v in variants], [v.weight_g for v in variants],
        [v.tax_class for v in variants], [v.image for v in variants],
        [v.metadata for v in variants], [v.archived for v in variants],
    )  # fmt: skip
    return next(iter({v.sku for v in variants} - {row["sku"] for row in rows}), None)


UPDATE_VARIANTS = """
update variants v set options = n.options, track_stock = n.track_stock, weight_g = n.weight_g,
       requires_shipping = n.requires_shipping, tax_class = n.tax_class, image = n.image,
       metadata = n.metadata, archived = n.archived
  from unnest($1::text[], $2::jsonb[], $3::bool[], $4::bool[], $5::int[], $6::text[], $7::text[],
              $8::jsonb[], $9::bool[])
       n(sku, options, track_stock, requires_shipping, weight_g, tax_class, image, metadata,
         archived)
 where v.sku = n.sku
"""


async def update_variants(tx: Tx, variants: Sequence[Variant]) -> None:
    """Keep variants that changed; their products are locked."""
    await tx.execute(
        UPDATE_VARIANTS, [v.sku for v in variants], [v.options for v in variants],
        [v.track_stock for v in variants], [v.requires_shipping for v in variants],
        [v.weight_g for v in variants], [v.tax_class for v in variants],
        [v.image for v in variants], [v.metadata for v in variants],
        [v.archived for v in variants],
    )  # fmt: skip


DROP_PRICES = "delete from prices where sku = any($1)"


async def _drop_prices(tx: Tx, skus: Sequence[str]) -> None:
    await tx.execute(DROP_PRICES, list(skus))


ADD_PRICES = """
insert into prices (sku, price_list, currency, from_quantity, valid_from, amount_minor, said)
select p.*, p.valid_from <= clock_timestamp()
  from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::bigint[])
       p(sku, price_list, currency, from_quantity, valid_from, amount_minor)
"""


async def replace_prices(tx: Tx, prices: Mapping[str, Sequence[PriceRow]]) -> None:
    """Keep all the prices that these skus have from now on; they will be said at once."""
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


async def show(tx: Tx, products: Sequence[Product]) -> None:
    """Keep what lists show of products: lowest price by currency, image, and stock."""
    ids = [product.id for product in products]
    lowest = [lowest_prices(product.variants) for product in products]
    await _show_products(tx, ids, lowest, [shown_image(product) for product in products])
    pairs = [
        (one, *offer) for one, offers in zip(ids, lowest, strict=True) for offer in offers.items()
    ]
    await _drop_offers(tx, ids)
    await _add_offers(tx, pairs)


SHOW_PRODUCTS = """
update products p set offers = n.offers, image = n.image, in_stock = stock_level(p.id)
  from unnest($1::uuid[], $2::jsonb[], $3::text[]) n(id, offers, image) where p.id = n.id
"""


async def _show_products(
    tx: Tx, ids: Sequence[UUID], lowest: Sequence[Mapping[str, int]], images: Sequence[str | None]
) -> None:
    await tx.execute(SHOW_PRODUCTS, ids, lowest, images)


DROP_OFFERS = "delete from product_offers where product_id = any($1)"


async def _drop_offers(tx: Tx, product_ids: Sequence[UUID]) -> None:
    await tx.execute(DROP_OFFERS, product_ids)


ADD_OFFERS = """
insert into product_offers (product_id, currency, from_minor)
select * from unnest($1::uuid[], $2::text[], $3::bigint[])
"""


async def _add_offers(tx: Tx, offers: Sequence[tuple[UUID, str, int]]) -> None:
    await tx.execute(
        ADD_OFFERS, [one for one, _, _ in offers], [currency for _, currency, _ in offers],
        [least for _, _, least in offers],
    )  # fmt: skip


SHOW_STOCK = """
update products p set in_stock = n.level
  from (select id, stock_level(id) as level from products where id = any($1)) n
 where n.id = p.id and p.in_stock <> n.level
"""


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
 where v.product_id = any($1) and not p.said and p.valid_from <= clock_timestamp()
"""


async def due_of(tx: Tx, product_ids: Sequence[UUID]) -> set[str]:
    """Give the skus of locked products whose price has come into force."""
    return {row["sku"] for row in await tx.fetch(DUE_OF, list(product_ids))}
