"""Statements that read the whole catalogue, so many products at a time."""

from uuid import UUID

import msgspec

from merkato.catalog.domain.columns import Names
from merkato.catalog.domain.entries import Stand
from merkato.catalog.store import imports, products
from merkato.chassis.db import Tx

NAMES = """
with living as materialized (select * from products where status <> 'archived'),
sold as materialized (select v.* from variants v join living p on p.id = v.product_id)
select array(select distinct t.locale from product_texts t join living p on p.id = t.product_id
              where t.locale <> $1 order by 1) as locales,
       (select coalesce(jsonb_agg(distinct jsonb_build_array(a.key, jsonb_typeof(a.value))), '[]')
          from living p, jsonb_each(p.attributes) a) as attributes,
       array(select distinct k from sold v, jsonb_object_keys(v.options) k order by 1) as options,
       (select coalesce(jsonb_agg(distinct jsonb_build_array(r.currency, r.price_list,
                                                             r.from_quantity)), '[]')
          from prices r join sold v using (sku)) as prices,
       array(select distinct k from living p, jsonb_object_keys(p.metadata) k order by 1)
         as metadata,
       array(select distinct k from sold v, jsonb_object_keys(v.metadata) k order by 1)
         as variant_metadata
"""


async def names(tx: Tx, default_locale: str) -> Names:
    """Give whatever is named differently in every shop, of all products that are not archived."""
    return msgspec.convert(dict(await tx.fetchrow(NAMES, default_locale) or {}), Names)


AFTER = "select id from products where status <> 'archived' and id > $1 order by id limit $2"


async def after(tx: Tx, product_id: UUID, limit: int) -> list[Stand]:
    """List products that are not archived, in the order in which they were made."""
    ids = [row["id"] for row in await tx.fetch(AFTER, product_id, limit)]
    found = await products.read(tx, ids)
    rows = await imports.price_rows(tx, [v.sku for one in found.values() for v in one.variants])
    return [
        Stand(found[one], {variant.sku: rows[variant.sku] for variant in found[one].variants})
        for one in ids
    ]
