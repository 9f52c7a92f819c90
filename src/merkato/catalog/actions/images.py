"""What can be asked to change about the images of a product."""

from uuid import UUID

import msgspec

from merkato.catalog.actions.pictures import Encoded
from merkato.catalog.actions.products import lock, write
from merkato.catalog.domain import images as domain
from merkato.catalog.domain.images import IMAGES_MAX, Image, ImagePatch
from merkato.catalog.domain.products import Change, Product
from merkato.catalog.store import images as store
from merkato.chassis.db import Tx
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import StateConflict


async def add(
    tx: Tx, caller: Caller, product_id: UUID, image_id: UUID, picture: Encoded
) -> tuple[UUID, bool]:
    """Put an image behind those a product has; gives its id and whether it is new.

    The same file again changes nothing. Raises NotFound, and StateConflict when there are too many.
    """
    before = await lock(tx, product_id, None)
    for image in before.images:
        if image.digest == picture.digest:
            return image.id, False
    if len(before.images) >= IMAGES_MAX:
        raise StateConflict(f"A product has at most {IMAGES_MAX} images.")
    await store.keep_files(tx, picture.files)
    image = Image(id=image_id, digest=picture.digest, sizes=picture.sizes, alts={})
    await _replace(tx, caller, before, (*before.images, image))
    return image_id, True


async def change(
    tx: Tx, caller: Caller, product_id: UUID, image_id: UUID, patch: ImagePatch, expected: int
) -> None:
    """Change what an image is called and where it stands. `expected`: version of the product.

    Raises NotFound, PreconditionFailed and Validation.
    """
    before = await lock(tx, product_id, expected)
    await _replace(tx, caller, before, domain.changed(before.images, image_id, patch))


async def remove(tx: Tx, caller: Caller, product_id: UUID, image_id: UUID, expected: int) -> None:
    """Take an image from a product; orders of the past go on showing it.

    Raises NotFound and PreconditionFailed.
    """
    before = await lock(tx, product_id, expected)
    gone = domain.found(before.images, image_id)
    await _replace(tx, caller, before, tuple(image for image in before.images if image is not gone))


async def _replace(tx: Tx, caller: Caller, before: Product, images: tuple[Image, ...]) -> None:
    after = msgspec.structs.replace(before, images=images, version=before.version + 1)
    await store.replace(tx, after)
    covered = domain.cover(before.images) != domain.cover(images)
    shown = (variant.sku for variant in after.variants if covered and not variant.image)
    await write(tx, caller, [Change(before, after, frozenset(shown))])
