"""Statements that keep the images of products and their files."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from merkato.catalog.domain.products import Product
from merkato.chassis.db import Tx

KEEP_FILES = """
insert into image_files (name, content) select * from unnest($1::text[], $2::bytea[])
on conflict do nothing
"""


async def keep_files(tx: Tx, files: Mapping[str, bytes]) -> None:
    """Keep files by name; one that is there is the same one."""
    names = sorted(files)
    await tx.execute(KEEP_FILES, names, [files[name] for name in names])


FILE = "select content from image_files where name = $1"


async def file(tx: Tx, name: str) -> bytes | None:
    """Give the content of a file."""
    content: bytes | None = await tx.fetchval(FILE, name)
    return content


DROP = "delete from images where product_id = $1 and id <> all($2::uuid[])"


async def _drop(tx: Tx, product: Product) -> None:
    await tx.execute(DROP, product.id, [image.id for image in product.images])


PUT = """
insert into images (id, product_id, position, digest, sizes, alts)
select id, $1, n, digest, sizes, alts
  from unnest($2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[])
       with ordinality i(id, digest, sizes, alts, n)
on conflict (id) do update set position = excluded.position, alts = excluded.alts
"""


async def replace(tx: Tx, product: Product) -> None:
    """Keep which images a product has, in order; its row is locked."""
    await _drop(tx, product)
    await tx.execute(
        PUT, product.id, [image.id for image in product.images],
        [image.digest for image in product.images],
        [msgspec.to_builtins(image.sizes) for image in product.images],
        [image.alts for image in product.images],
    )  # fmt: skip


PRODUCT_VERSION = "select version from products where id = $1"


async def product_version(tx: Tx, product_id: UUID) -> int | None:
    """Give the version of a product, None when there is none."""
    version: int | None = await tx.fetchval(PRODUCT_VERSION, product_id)
    return version
