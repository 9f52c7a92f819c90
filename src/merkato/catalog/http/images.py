"""Routes of images: their files for everybody, and what staff change about them."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post

from merkato.catalog.actions import images as actions
from merkato.catalog.actions.pictures import encoded
from merkato.catalog.domain.images import FOLDER, UPLOAD_MAX_BYTES, ImagePatch
from merkato.catalog.domain.pages import ProductKept
from merkato.catalog.http.pages import Shop, page_response
from merkato.catalog.http.products import MAY_WRITE, PRODUCTS, staff_page
from merkato.catalog.store import images as store
from merkato.chassis.allowance import Allowance
from merkato.chassis.db import Database
from merkato.chassis.http import ANYONE, IfMatch, expected_version
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import NotFound, Validation

IMAGES = f"{PRODUCTS}/{{product_id:uuid}}/images"
IMAGE = f"{IMAGES}/{{image_id:uuid}}"
UPLOAD = Allowance(
    body_max_bytes=UPLOAD_MAX_BYTES,
    media_types=("image/jpeg", "image/png", "image/webp", "image/gif", "application/octet-stream"),
)
FOREVER = "public, max-age=31536000, immutable"
_encoder = asyncio.Semaphore(1)  # unpacked pictures are large: one at a time in a process


@get(f"{FOLDER}/{{name:str}}", policy=ANYONE, also=(304,), produces=("image/webp",))
async def read_image(name: str, request: Request[Any, Any, Any], db: Database) -> Response[bytes]:
    """Give a file of an image, WebP; its name is its content's, so it may be kept for ever."""
    headers = {
        "Cache-Control": FOREVER, "ETag": f'"{name}"', "X-Content-Type-Options": "nosniff",
    }  # fmt: skip
    async with db.reading() as tx:
        content = await store.file(tx, name)
    if content is None:
        raise NotFound("There is no such image.")
    if request.headers.get("if-none-match") == f'"{name}"':
        return Response(b"", status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="image/webp")


@post(IMAGES, policy=MAY_WRITE, allowance=UPLOAD, also=(200,), answers=ProductKept)
async def add_image(
    product_id: UUID, request: Request[Any, Any, Any], caller: Caller, db: Database, shop: Shop
) -> Response[bytes]:
    """Add an image to a product; the body is the file: JPEG, PNG, WebP or GIF, at most 10 MiB.

    What it is is read from its content. It is encoded anew in a few sizes, without metadata. Gives
    the product (201); the same file again changes nothing (200).
    """
    upload = await request.body()
    async with db.reading() as tx:
        if await store.product_version(tx, product_id) is None:
            raise NotFound("There is no such product.")
    if not upload:
        raise Validation("The body is the file of the image; there is none.")
    async with _encoder:
        picture = await asyncio.to_thread(encoded, upload)
    async with db.transaction() as tx:
        image_id, new = await actions.add(tx, caller, product_id, new_id(), picture)
        response = page_response(await staff_page(tx, product_id, shop))
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"{PRODUCTS}/{product_id}/images/{image_id}"
    return response


@patch(IMAGE, policy=MAY_WRITE, answers=ProductKept)
async def change_image(
    product_id: UUID, image_id: UUID, data: ImagePatch, caller: Caller, db: Database, shop: Shop,
    if_match: IfMatch = None,
) -> Response[bytes]:  # fmt: skip
    """Move an image or change its alternative texts. Needs If-Match with the product's ETag."""
    expected = expected_version(if_match)
    async with db.transaction() as tx:
        await actions.change(tx, caller, product_id, image_id, data, expected)
        return page_response(await staff_page(tx, product_id, shop))


@delete(IMAGE, policy=MAY_WRITE)
async def remove_image(
    product_id: UUID, image_id: UUID, caller: Caller, db: Database, if_match: IfMatch = None
) -> None:
    """Take an image from a product; its files stay, for orders that show them. Needs If-Match."""
    async with db.transaction() as tx:
        await actions.remove(tx, caller, product_id, image_id, expected_version(if_match))


ROUTES = (read_image, add_image, change_image, remove_image)
