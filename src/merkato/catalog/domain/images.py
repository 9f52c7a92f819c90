"""The rules of images: which sizes there are, in which order they stand, what they are called."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import msgspec

from merkato.catalog.domain.words import Body
from merkato.contracts.problem import NotFound, Problem, Validation
from merkato.contracts.values import Locale

UPLOAD_MAX_BYTES = 10 * 1024 * 1024
PIXELS_MAX = 50_000_000  # of what is uploaded; a telephone's camera takes as many
EDGES = (160, 480, 960, 1_920)  # longest edges that are kept, in pixels
SHOWN_EDGE = 480  # what lists, carts and mails show
IMAGES_MAX = 50  # of one product
FOLDER = "/images"

Alt = Annotated[str, msgspec.Meta(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Alts = Annotated[dict[Locale, Alt], msgspec.Meta(max_length=30)]


class NotAnImage(Problem):
    """The file is no image of a kind we read, is broken, or would unpack to too many pixels."""

    slug, status, title = "not-an-image", 422, "Not an image we can use"


class ImagePatch(Body, frozen=True, kw_only=True, omit_defaults=True):
    """What shall be different; what is left out stays. `position` counts from 0."""

    position: Annotated[int, msgspec.Meta(ge=0, lt=IMAGES_MAX)] | msgspec.UnsetType = msgspec.UNSET
    alts: Alts | msgspec.UnsetType = msgspec.UNSET


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an image; width and height in pixels."""

    name: str
    width: int
    height: int


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image of a product as it is kept; sizes from the smallest to the largest."""

    id: UUID
    digest: str
    sizes: tuple[Size, ...]
    alts: dict[str, str]


def cover(images: Sequence[Image]) -> str | None:
    """Give the path of what stands for a product: its first image, large enough for a list."""
    if not images:
        return None
    fitting = [s for s in images[0].sizes if max(s.width, s.height) >= SHOWN_EDGE]
    return path((fitting or images[0].sizes[-1:])[0].name)


def path(name: str) -> str:
    """Give the path at which a file is served."""
    return f"{FOLDER}/{name}"


def edges(width: int, height: int) -> list[int]:
    """List the longest edges to keep of an image: never larger than it is."""
    longest = max(width, height)
    smaller = [edge for edge in EDGES if edge < longest]
    return smaller if len(smaller) == len(EDGES) else [*smaller, longest]


def changed(images: Sequence[Image], image_id: UUID, patch: ImagePatch) -> tuple[Image, ...]:
    """Apply a patch to one of the images. Raises NotFound and Validation."""
    if patch == ImagePatch():
        raise Validation("There is nothing to change.")
    image = found(images, image_id)
    if patch.alts is not msgspec.UNSET:
        image = msgspec.structs.replace(image, alts=written(patch.alts))
    order = [image if one.id == image_id else one for one in images]
    if patch.position is not msgspec.UNSET:
        if patch.position >= len(order):
            raise Validation.at("/position", f"There are {len(order)} images; the first is 0.")
        order.remove(image)
        order.insert(patch.position, image)
    return tuple(order)


def found(images: Sequence[Image], image_id: UUID) -> Image:
    """Give one of the images. Raises NotFound."""
    for image in images:
        if image.id == image_id:
            return image
    raise NotFound("The product has no such image.")


def written(alts: Mapping[str, str]) -> dict[str, str]:
    """Leave out what says nothing."""
    return {locale: alt for locale, alt in alts.items() if alt.strip()}
