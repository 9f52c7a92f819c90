"""What tests of lists and facets put into a shop."""

from harness import user_token

STAFF = user_token(role="staff")
PRODUCTS = "/api/v1/products"


async def add(catalog, title, *, minor=None, description="", de=None, **more):
    sku = f"SKU-{title.replace(' ', '-').encode('ascii', 'ignore').decode()}"
    prices = [] if minor is None else [{"currency": "EUR", "amount_minor": minor}]
    body = {
        "status": "active",
        "texts": {"en": {"title": title, "description": description}},
        "variants": [{"sku": sku, "prices": prices}],
        **more,
    }
    if de:
        body["texts"]["de"] = {"title": de}
    answer = await catalog.request("POST", PRODUCTS, body, token=STAFF)
    assert answer.status == 201, answer
    return answer.json()
