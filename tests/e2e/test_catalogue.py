"""Files that go into the shop and come out of it, through the front door."""

import io
import os

from PIL import Image
from shopping import new_key


async def test_a_large_picture_goes_in_and_small_ones_come_out(shop):
    body = {
        "status": "active", "texts": {"en": {"title": f"Poster {new_key()}"}},
        "variants": [{"sku": new_key(), "prices": [{"currency": "EUR", "amount_minor": 100}]}],
    }  # fmt: skip
    product = (await shop("POST", "/api/v1/products", body, token=shop.admin)).json()["id"]
    stream = io.BytesIO()
    Image.frombytes("RGB", (800, 700), os.urandom(800 * 700 * 3)).save(stream, "PNG")
    upload = stream.getvalue()
    assert len(upload) > 1_500_000  # more than any other body may have
    path = f"/api/v1/products/{product}/images"
    headers = {"content-type": "image/png"}
    answer = await shop("POST", path, upload, token=shop.admin, headers=headers)
    assert answer.status == 201, answer
    [image] = answer.json()["images"]
    shown = await shop("GET", image["sizes"][0]["url"])
    assert (shown.status, shown.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(shown.body)).size == (160, 140)
    too_large = await shop("POST", path, bytes(10_485_761), token=shop.admin, headers=headers)
    assert (too_large.status, too_large.json()["type"]) == (413, "/problems/payload-too-large")
