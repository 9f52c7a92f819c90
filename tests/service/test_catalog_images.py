"""Images of products: what is taken, what is made of it, who sees it, and what is said."""

import io
import random

import pytest
import pytest_asyncio
from catalog_bodies import PRODUCTS, STAFF, made, mug, pointer, writer
from harness import alone
from PIL import Image

from merkato.catalog.domain.images import UPLOAD_MAX_BYTES
from merkato.catalog.service import service
from merkato.config import Config
from merkato.contracts.catalog import VariantPriced


@pytest_asyncio.fixture
async def catalog(new_database):
    async with alone(service(Config()), new_database) as running:
        yield running


def picture(kind="PNG", size=(1_000, 500), mode="RGB", seed=1, **more):
    """A picture that does not compress to nothing."""
    noise = Image.frombytes("L", (50, 25), random.Random(seed).randbytes(1_250))
    stream = io.BytesIO()
    noise.resize(size).convert(mode).save(stream, kind, **more)
    return stream.getvalue()


def with_camera():
    """A photograph on its side (EXIF orientation 6) by a camera that tells where it was."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SpyCam"
    exif.get_ifd(0x8825)[1] = "N"
    return picture("JPEG", exif=exif)


async def upload(catalog, product_id, content, media_type="image/png", token=STAFF):
    headers = {"content-type": media_type}
    path = f"{PRODUCTS}/{product_id}/images"
    return await catalog.request("POST", path, content, token=token, headers=headers)


async def bare(catalog):
    """A product whose variants have no images of their own; gives its id."""
    body = mug()
    body["variants"] = [variant | {"image": None} for variant in body["variants"]]
    return (await made(catalog, body)).json()["id"]


async def file(catalog, url, **headers):
    return await catalog.request("GET", url, headers=headers)


async def test_an_image_is_kept_in_sizes_and_served_for_ever(catalog):
    product = await bare(catalog)
    answer = await upload(catalog, product, picture())
    assert answer.status == 201, answer
    [image] = answer.json()["images"]
    assert answer.headers["location"] == f"{PRODUCTS}/{product}/images/{image['id']}"
    assert [(s["width"], s["height"]) for s in image["sizes"]] == [
        (160, 80), (480, 240), (960, 480), (1_000, 500)
    ]  # fmt: skip
    assert (image["width"], image["height"], image["url"]) == (
        1_000,
        500,
        image["sizes"][-1]["url"],
    )
    for size in image["sizes"]:
        served = await file(catalog, size["url"])
        assert served.headers["content-type"] == "image/webp"
        assert "immutable" in served.headers["cache-control"]
        assert served.headers["x-content-type-options"] == "nosniff"
        shown = Image.open(io.BytesIO(served.body))
        assert (shown.format, shown.size) == ("WEBP", (size["width"], size["height"]))
    again = await file(catalog, image["url"], **{"if-none-match": served.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert (await file(catalog, "/images/nothing.webp")).status == 404


async def test_metadata_are_gone_and_pictures_upright(catalog):
    answer = await upload(catalog, await bare(catalog), with_camera())
    [image] = answer.json()["images"]
    assert (image["width"], image["height"]) == (500, 1_000)
    for size in image["sizes"]:
        content = (await file(catalog, size["url"])).body
        assert b"SpyCam" not in content
        assert b"EXIF" not in content
        shown = Image.open(io.BytesIO(content))
        assert not shown.getexif()
        assert "icc_profile" not in shown.info


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_what_it_is_is_read_from_its_content(catalog, kind):
    content = picture(kind, size=(40, 20))
    answer = await upload(catalog, await bare(catalog), content, "application/octet-stream")
    assert answer.status == 201, answer
    assert [s["width"] for s in answer.json()["images"][0]["sizes"]] == [40]


async def test_transparency_stays(catalog):
    clear = Image.new("RGBA", (30, 30), (0, 0, 0, 0))
    stream = io.BytesIO()
    clear.save(stream, "PNG")
    answer = await upload(catalog, await bare(catalog), stream.getvalue())
    served = await file(catalog, answer.json()["images"][0]["url"])
    assert Image.open(io.BytesIO(served.body)).convert("RGBA").getpixel((5, 5))[3] == 0


BOMB = Image.new("1", (20_000, 20_000))


def bomb():
    stream = io.BytesIO()
    BOMB.save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x00" * 100,
        picture()[:5_000], picture("BMP"), picture("TIFF"), bomb(),
    ],
    ids=["head", "svg", "pdf", "nothing", "cut", "bmp", "tiff", "bomb"],
)  # fmt: skip
async def test_anything_else_is_refused(catalog, content):
    product = await bare(catalog)
    answer = await upload(catalog, product, content)
    assert (answer.status, answer.json()["type"]) == (422, "/problems/not-an-image"), answer
    assert await catalog.fetch("select 1 from images") == []


async def test_limits_types_and_rights(catalog):
    product = await bare(catalog)
    answer = await upload(catalog, product, b"x" * (UPLOAD_MAX_BYTES + 1))
    assert (answer.status, answer.json()["type"]) == (413, "/problems/payload-too-large")
    assert (await upload(catalog, product, b"{}", "application/json")).status == 415
    assert (await upload(catalog, product, b"<svg/>", "image/svg+xml")).status == 415
    assert (await upload(catalog, product, b"")).status == 422
    assert (await upload(catalog, product, picture(), token=None)).status == 401
    nobody = "00000000-0000-7000-8000-000000000000"
    assert (await upload(catalog, nobody, picture())).status == 404


async def test_the_first_image_stands_for_the_product(catalog):
    product = await bare(catalog)
    said = len(await catalog.said(VariantPriced))
    first = (await upload(catalog, product, picture(seed=1))).json()
    await upload(catalog, product, picture(seed=2))
    repeated = await upload(catalog, product, picture(seed=1))
    assert repeated.status == 200
    assert len(repeated.json()["images"]) == 2
    cover = first["images"][0]["sizes"][1]["url"]
    events = (await catalog.said(VariantPriced))[said:]
    assert {event.sku: event.image for event in events} == {"MUG-MOSS": cover, "MUG-SAND": cover}
    assert len(events) == 2  # the second image is no news to those who sell
    listed = (await catalog.request("GET", PRODUCTS)).json()["items"]
    assert [item["image"] for item in listed] == [cover]
    page = (await catalog.request("GET", f"{PRODUCTS}/stone-mug")).json()
    assert [variant["image"] for variant in page["variants"]] == [cover, cover]


async def test_a_variants_own_image_counts_for_it(catalog):
    product = (await made(catalog, mug())).json()["id"]
    cover = (await upload(catalog, product, picture())).json()["images"][0]["sizes"][1]["url"]
    newest = {event.sku: event.image for event in await catalog.said(VariantPriced)}
    assert newest == {"MUG-MOSS": "/pictures/mug.svg", "MUG-SAND": cover}


async def test_order_texts_and_removal(catalog):
    product, send = await bare(catalog), writer(catalog)
    for seed in (1, 2, 3):
        answer = await upload(catalog, product, picture(seed=seed))
    ids = [image["id"] for image in answer.json()["images"]]
    path = f"{PRODUCTS}/{product}/images/{ids[2]}"
    alts = {"en": "A mug", "de": "Ein Becher"}
    moved = await send("PATCH", path, {"position": 0, "alts": alts}, etag=answer.headers["etag"])
    assert [image["id"] for image in moved.json()["images"]] == [ids[2], ids[0], ids[1]]
    page = await catalog.request("GET", f"{PRODUCTS}/{product}?locale=de")
    assert [image["alt"] for image in page.json()["images"]] == ["Ein Becher", None, None]
    cover = moved.json()["images"][0]
    assert {event.image for event in (await catalog.said(VariantPriced))[-2:]} == {
        cover["sizes"][1]["url"]
    }
    assert (await send("DELETE", path)).status == 428
    assert (await send("DELETE", path, etag=answer.headers["etag"])).status == 412
    assert (await send("DELETE", path, etag=moved.headers["etag"])).status == 204
    left = await send("GET", f"{PRODUCTS}/{product}")
    assert [image["id"] for image in left.json()["images"]] == ids[:2]
    assert (await file(catalog, cover["url"])).status == 200  # orders show it still
    etag = left.headers["etag"]
    too_far = await send(
        "PATCH", f"{PRODUCTS}/{product}/images/{ids[0]}", {"position": 2}, etag=etag
    )
    assert (too_far.status, pointer(too_far)) == (422, "/position")
    assert (await send("PATCH", path, {"position": 0}, etag=etag)).status == 404
