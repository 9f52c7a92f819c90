"""Statements about what can be sold: our copy of offers."""

from collections.abc import Sequence

import msgspec

from merkato.chassis.db import Tx
from merkato.contracts.catalog import VariantPriced
from merkato.orders.domain.offers import Offer

OFFERS = """
select sku, version, active, titles, options, image, prices, track_stock, requires_shipping,
       weight_g, tax_class
  from offers where sku = any($1)
"""


async def offers(tx: Tx, skus: Sequence[str]) -> dict[str, Offer]:
    """Map each known sku to its offer."""
    rows = await tx.fetch(OFFERS, list(skus))
    return {row["sku"]: msgspec.convert(dict(row), Offer) for row in rows}


KEEP_OFFERS = """
insert into offers as o (sku, version, active, titles, options, image, prices, track_stock,
                         requires_shipping, weight_g, tax_class)
select * from unnest($1::text[], $2::bigint[], $3::bool[], $4::jsonb[], $5::jsonb[], $6::text[],
                     $7::jsonb[], $8::bool[], $9::bool[], $10::int[], $11::text[])
    on conflict (sku) do update
   set version = excluded.version, active = excluded.active, titles = excluded.titles,
       options = excluded.options, image = excluded.image, prices = excluded.prices,
       track_stock = excluded.track_stock, requires_shipping = excluded.requires_shipping,
       weight_g = excluded.weight_g, tax_class = excluded.tax_class
 where o.version < excluded.version
"""


async def keep_offers(tx: Tx, events: Sequence[VariantPriced]) -> None:
    """Keep what catalog said, one event per sku, unless we know something newer."""
    await tx.execute(
        KEEP_OFFERS,
        [e.sku for e in events],
        [e.version for e in events],
        [e.active for e in events],
        [e.titles for e in events],
        [e.options for e in events],
        [e.image for e in events],
        [e.prices for e in events],
        [e.track_stock for e in events],
        [e.requires_shipping for e in events],
        [e.weight_g for e in events],
        [e.tax_class for e in events],
    )
