"""Statements that read a product as a page: what customers see, and what staff see."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import Status
from merkato.catalog.domain.words import is_uuid
from merkato.chassis.db import Tx


class Page(msgspec.Struct, frozen=True):
    """A product's page as ready JSON, and what must be known to answer with it."""

    id: UUID
    status: Status
    version: int
    slug: str  # in the locale that was asked for
    body: str
    moved: bool = False  # asked for by a slug it had once


PUBLIC = """
with named as (
    select a.name, coalesce(a.id,
             (select product_id from product_texts t where t.slug = a.name and t.living
               order by array_position($3::text[], t.locale) nulls last, t.locale limit 1)) as id
      from unnest($1::text[], $2::uuid[]) a(name, id)),
asked as (
    select name, id is null as moved, coalesce(id,
             (select product_id from old_slugs o where o.slug = name
               order by array_position($3::text[], o.locale) nulls last, o.locale limit 1)) as id
      from named)
select a.name, a.moved, p.id, p.status, p.version, t.slug, json_build_object(
         'id', p.id, 'slug', t.slug, 'locale', t.locale, 'title', t.title,
         'description', t.description, 'attributes', p.attributes, 'options', p.options,
         'in_stock', p.in_stock, 'published_at', p.published_at, 'image', p.image,
         'images', product_images(p.id, $3),
         'slugs', (select json_object_agg(s.locale, s.slug) from product_texts s
                    where s.product_id = p.id),
         'categories', coalesce((
             select json_agg(
                      json_build_object('id', c.category_id, 'slug', c.slug, 'title', c.title))
               from (select distinct on (pc.category_id) pc.category_id, ct.slug, ct.title
                       from product_categories pc join category_texts ct using (category_id)
                      where pc.product_id = p.id and ct.locale = any($3)
                      order by pc.category_id, array_position($3::text[], ct.locale)) c), '[]'),
         'variants', coalesce((
             select json_agg(json_build_object(
                      'sku', v.sku, 'options', v.options,
                      'image', coalesce(v.image, case when exists (
                          select from images i where i.product_id = p.id) then p.image end),
                      'price', (select json_build_object('amount_minor', f -> 'amount_minor',
                                                         'currency', $4::text)
                                  from jsonb_array_elements(v.prices) f
                                 where f ->> 'price_list' = 'standard'
                                   and f ->> 'currency' = $4 and f -> 'from_quantity' = '1'),
                      'prices', coalesce((
                          select json_agg(json_build_object(
                                   'from_quantity', f -> 'from_quantity',
                                   'amount_minor', f -> 'amount_minor', 'currency', $4::text,
                                   'tax_included', f -> 'tax_included'))
                            from jsonb_array_elements(v.prices) f
                           where f ->> 'price_list' = 'standard' and f ->> 'currency' = $4),
                          '[]'),
                      'in_stock', case when v.track_stock then coalesce(l.level, 'no')
                                       else 'yes' end,
                      'track_stock', v.track_stock, 'requires_shipping', v.requires_shipping,
                      'weight_g', v.weight_g, 'tax_class', v.tax_class) order by v.position, v.sku)
               from variants v left join availability l on l.sku_key = lower(v.sku)
              where v.product_id = p.id and not v.archived), '[]'))::text as body
  from asked a join products p on p.id = a.id
  join lateral (select t.locale, t.title, t.description, t.slug from product_texts t
                 where t.product_id = p.id and t.locale = any($3)
                 order by array_position($3::text[], t.locale) limit 1) t on true
"""


async def public(
    tx: Tx, names: Sequence[str], locales: Sequence[str], currency: str
) -> Mapping[str, Page]:
    """Map ids and slugs (also former ones) to the pages that customers see."""
    ids = [UUID(name) if is_uuid(name) else None for name in names]
    rows = await tx.fetch(PUBLIC, list(names), ids, list(locales), currency)
    return {
        row["name"]: Page(
            row["id"], row["status"], row["version"], row["slug"], row["body"], row["moved"]
        )
        for row in rows
    }


STAFF = """
select p.id, p.status, p.version, t.slug, json_build_object(
         'id', p.id, 'status', p.status, 'version', p.version, 'slug', t.slug, 'locale', t.locale,
         'title', t.title, 'description', t.description,
         'texts', (select json_object_agg(s.locale, json_build_object(
                            'title', s.title, 'description', s.description, 'slug', s.slug))
                     from product_texts s where s.product_id = p.id),
         'attributes', p.attributes, 'options', p.options, 'metadata', p.metadata,
         'in_stock', p.in_stock, 'image', p.image, 'images', product_images(p.id, $2),
         'created_at', p.created_at, 'changed_at', p.changed_at,
         'published_at', p.published_at,
         'categories', coalesce((
             select json_agg(
                      json_build_object('id', c.category_id, 'slug', c.slug, 'title', c.title))
               from (select distinct on (pc.category_id) pc.category_id, ct.slug, ct.title
                       from product_categories pc join category_texts ct using (category_id)
                      where pc.product_id = p.id and ct.locale = any($2)
                      order by pc.category_id, array_position($2::text[], ct.locale)) c), '[]'),
         'variants', coalesce((
             select json_agg(json_build_object(
                      'sku', v.sku, 'archived', v.archived, 'options', v.options, 'image', v.image,
                      'price', (select json_build_object('amount_minor', f -> 'amount_minor',
                                                         'currency', $3::text)
                                  from jsonb_array_elements(v.prices) f
                                 where f ->> 'price_list' = 'standard'
                                   and f ->> 'currency' = $3 and f -> 'from_quantity' = '1'),
                      'prices', coalesce((
                          select json_agg(json_build_object(
                                   'price_list', r.price_list, 'currency', r.currency,
                                   'from_quantity', r.from_quantity,
                                   'valid_from', nullif(r.valid_from, 'epoch'),
                                   'amount_minor', r.amount_minor)
                                   order by r.price_list, r.currency, r.from_quantity,
                                            r.valid_from)
                            from prices r where r.sku = v.sku), '[]'),
                      'in_stock', case when v.track_stock then coalesce(l.level, 'no')
                                       else 'yes' end,
                      'track_stock', v.track_stock, 'requires_shipping', v.requires_shipping,
                      'weight_g', v.weight_g, 'tax_class', v.tax_class, 'metadata', v.metadata,
                      'version', v.version) order by v.position, v.sku)
               from variants v left join availability l on l.sku_key = lower(v.sku)
              where v.product_id = p.id), '[]'))::text as body
  from products p
  join lateral (select t.locale, t.title, t.description, t.slug from product_texts t
                 where t.product_id = p.id and t.locale = any($2)
                 order by array_position($2::text[], t.locale) limit 1) t on true
 where p.id = coalesce($4::uuid, (
           select product_id from product_texts f where f.slug = $1
            order by f.living desc, array_position($2::text[], f.locale) nulls last, f.locale
            limit 1))
"""


async def staff(tx: Tx, name: str, locales: Sequence[str], currency: str) -> Page | None:
    """Give the page that staff see: drafts, archived variants, every text and every price row."""
    product_id = UUID(name) if is_uuid(name) else None
    row = await tx.fetchrow(STAFF, name, list(locales), currency, product_id)
    return row and Page(row["id"], row["status"], row["version"], row["slug"], row["body"])
