"""Products as tests of catalog send them, and how staff send them."""

from harness import user_token

STAFF = user_token(role="staff")
PRODUCTS = "/api/v1/products"


def mug(**changes):
    body = {
        "status": "active",
        "texts": {
            "en": {"title": "Stone mug", "slug": "stone-mug", "description": "Holds coffee."},
            "de": {"title": "Steinbecher", "slug": "steinbecher"},
        },
        "options": [{"name": "colour", "values": ["moss", "sand", "clay"]}],
        "attributes": {"material": "stoneware", "volume_ml": 300, "dishwasher": True},
        "metadata": {"source": "kiln"},
        "variants": [
            {
                "sku": "MUG-MOSS",
                "options": {"colour": "moss"},
                "weight_g": 400,
                "image": "/pictures/mug.svg",
                "prices": [
                    {"currency": "EUR", "amount_minor": 1_800},
                    {"currency": "EUR", "from_quantity": 10, "amount_minor": 1_500},
                    {"currency": "USD", "amount_minor": 2_000},
                ],
            },
            {
                "sku": "MUG-SAND",
                "options": {"colour": "sand"},
                "prices": [{"currency": "EUR", "amount_minor": 1_700}],
            },
        ],
    }
    return body | changes


def simple(slug, **changes):
    body = {"status": "active", "texts": {"en": {"title": slug.title(), "slug": slug}}}
    return body | changes


def writer(catalog):
    """Send as staff, with If-Match if it is given."""

    async def send(method, path, body=None, *, etag=None, **more):
        headers = {"if-match": etag} if etag else {}
        return await catalog.request(method, path, body, token=STAFF, headers=headers, **more)

    return send


async def made(catalog, body):
    answer = await writer(catalog)("POST", PRODUCTS, body)
    assert answer.status == 201, answer
    return answer


def pointer(answer):
    return answer.json()["errors"][0]["pointer"]
