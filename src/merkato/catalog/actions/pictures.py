"""Reading an uploaded picture and encoding it anew: what leaves here was made by us."""

import hashlib
import io

import msgspec
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps

from merkato.catalog.domain.images import EDGES, PIXELS_MAX, NotAnImage, Size, edges

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
QUALITY = 82  # of WebP, 0 to 100
NAME_CHARS = 40  # of the digest; 160 bits


class Encoded(msgspec.Struct, frozen=True):
    """A picture in the sizes we keep."""

    digest: str  # SHA-256 of what was uploaded
    sizes: tuple[Size, ...]
    files: dict[str, bytes]  # by name


def encoded(upload: bytes) -> Encoded:
    """Encode a JPEG, PNG, WebP or GIF as WebP in a few sizes, upright, in sRGB, without metadata.

    What it is is read from its content. Takes up to a second; belongs into a thread. Raises
    NotAnImage for anything else, for broken files and for those with too many pixels.
    """
    sizes: list[Size] = []
    files: dict[str, bytes] = {}
    picture = _read(upload)
    for edge in reversed(edges(*picture.size)):
        _shrink(picture, edge)
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=QUALITY, method=4)
        content = stream.getvalue()
        name = f"{hashlib.sha256(content).hexdigest()[:NAME_CHARS]}.webp"
        sizes.insert(0, Size(name=name, width=picture.width, height=picture.height))
        files[name] = content
    return Encoded(hashlib.sha256(upload).hexdigest(), tuple(sizes), files)


def _shrink(picture: Pillow.Image, edge: int) -> None:
    picture.thumbnail((edge, edge), Pillow.Resampling.LANCZOS, reducing_gap=3.0)


def _read(upload: bytes) -> Pillow.Image:
    """Unpack a picture, after a look at its head, no larger than we keep it."""
    try:
        with Pillow.open(io.BytesIO(upload), formats=FORMATS) as picture:
            if picture.width * picture.height > PIXELS_MAX:
                raise NotAnImage(f"An image has at most {PIXELS_MAX:,} pixels.")
            if picture.mode != "P":  # colours by number cannot be mixed yet
                _shrink(picture, max(EDGES))
            plain = _plain(ImageOps.exif_transpose(picture))
            _shrink(plain, max(EDGES))
            return plain
    except NotAnImage:
        raise
    except Exception as error:  # a decoder fed with anything may raise anything
        names = ", ".join(FORMATS)
        raise NotAnImage(f"Send a whole, sound file of one of these: {names}.") from error


def _plain(picture: Pillow.Image) -> Pillow.Image:
    """Give the pixels alone: in sRGB, with transparency if there is any, and nothing else."""
    profile = picture.info.get("icc_profile")
    transparent = picture.has_transparency_data
    plain = picture.convert("RGBA" if transparent else "RGB")
    if profile and picture.mode in ("RGB", "RGBA"):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        ImageCms.profileToProfile(plain, source, srgb, inPlace=True)
    plain.info.clear()
    return plain
