"""How the catalogues of two other shops are brought into Merkato, to be copied and changed.

    python docs/examples/mapping.py eshop FILE --pictures DIR --url SHOP --key-file KEY
    python docs/examples/mapping.py adventureworks FILE --url SHOP --key-file KEY

`eshop` reads the sample catalogue of eShop (a JSON list of Id, Type, Brand, Name, Description,
Price, with pictures named <Id>.webp); `adventureworks` a JSON list of AdventureWorks' products,
with descriptions in six languages. Either is written as JSON Lines, one entry a product (see
docs/catalogue.md), and goes in by POST /imports; categories, stock and pictures by their own
routes. With --print the entries are printed and nothing is sent. A repeat changes nothing.

The functions `eshop` and `adventureworks` are the mappings. The rest is the same for any shop, and
needs nothing but Python.
"""

import argparse
import json
import re
import sys
import time
import unicodedata
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

POUND_G = Decimal("453.59237")
LOCALES = {"zh-cht": "zh-TW"}  # as they are called here
Shelf = tuple[str, ...]  # a category and those above it, by title


def slug(text: str) -> str:
    """Make a slug of a text."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def cents(price: str | Decimal) -> int:
    """Write a price in minor units, rounded half up: some are given to a hundredth of a cent."""
    return int((Decimal(price) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def eshop(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Map eShop's sample: a product of one variant each; the type is a category."""
    for row in rows:
        yield {
            "slug": f"{slug(row['Name'])}-{row['Id']}",
            "status": "active",
            "texts": {"en": {"title": row["Name"], "description": row["Description"]}},
            "categories": [slug(row["Type"])],
            "attributes": {"brand": row["Brand"]},
            "metadata": {"eshop_id": str(row["Id"])},
            "variants": [{"sku": f"ESHOP-{row['Id']}", "amounts": {"USD": cents(row["Price"])}}],
        }


def eshop_shelves(rows: list[dict[str, Any]]) -> set[Shelf]:
    """List the categories that eShop's sample needs."""
    return {(row["Type"],) for row in rows}


def adventureworks(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Map AdventureWorks: a model is a product, its colours and sizes are variants.

    Titles are the same in all languages, descriptions are translated. What is not sold any more is
    an archived variant, and a product without any other stays a draft.
    """
    models: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        models.setdefault(row["model"] or row["name"], []).append(row)
    for title, pieces in models.items():
        first = pieces[0]
        words = {LOCALES.get(code, code): text for code, text in first["descriptions"].items()}
        texts = {code: {"title": title, "description": text} for code, text in words.items()}
        shelf = first["subcategory"] or first["category"]
        yield {
            "slug": slug(title),
            "status": "active" if any(not one["sell_end"] for one in pieces) else "draft",
            "texts": {"en": {"title": title}, **texts},
            "categories": [slug(shelf)] if shelf else [],
            "variants": [_piece(one, pieces) for one in pieces],
        }


def _piece(row: dict[str, Any], pieces: list[dict[str, Any]]) -> dict[str, Any]:
    options = {
        name: row[name] or "-" for name in ("color", "size") if any(one[name] for one in pieces)
    }
    weight = Decimal(row["weight"] or 0) * (POUND_G if row["weight_unit"] == "LB" else 1)
    return {
        "sku": row["number"],
        "options": options,
        "weight_g": int(weight.to_integral_value(ROUND_HALF_UP)),
        "archived": bool(row["sell_end"]),
        "metadata": {"adventureworks_id": str(row["id"])},
        "amounts": {"USD": cents(row["list_price"])},
    }


def adventureworks_shelves(rows: list[dict[str, Any]]) -> set[Shelf]:
    """List the categories that AdventureWorks needs."""
    return {(r["category"], r["subcategory"]) for r in rows if r["category"] and r["subcategory"]}


class Shop:
    """A running shop, spoken to over its API."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url.rstrip("/") + "/api/v1", key

    def send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """Send a request; bytes go as they are. Gives the answer, None for 404; else raises."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        if method == "PUT":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        request = urllib.request.Request(self.url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise SystemExit(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def shelf(self, titles: Shelf) -> str:
        """Find or make a category below another; gives its id."""
        found = self.send("GET", f"/categories/{slug(titles[-1])}")
        if found is None:
            parent = self.shelf(titles[:-1]) if len(titles) > 1 else None
            texts = {"en": {"title": titles[-1], "slug": slug(titles[-1])}}
            found = self.send("POST", "/categories", {"parent_id": parent, "texts": texts})
        return str(found["id"])

    def load(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Import entries and wait for the end; gives the import."""
        lines = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
        job = self.send("POST", "/imports", lines, "application/x-ndjson")
        while job["state"] in ("receiving", "waiting", "running"):
            time.sleep(0.2)
            job = self.send("GET", f"/imports/{job['id']}")
        if job["failed"]:
            for error in self.send("GET", f"/imports/{job['id']}/errors?limit=100")["items"]:
                print(
                    f"line {error['line']} {error['subject']} {error['pointer']}: {error['detail']}"
                )
        return dict(job)


def pictures(shop: Shop, rows: list[dict[str, Any]], folder: Path, most: int) -> int:
    """Upload the pictures of eShop's products; one that is there is left alone. Gives how many."""
    done = 0
    for row, entry in list(zip(rows, eshop(rows), strict=True))[:most]:
        file = folder / f"{row['Id']}.webp"
        if file.is_file():
            product = shop.send("GET", f"/products/{entry['slug']}")
            shop.send("POST", f"/products/{product['id']}/images", file.read_bytes(), "image/webp")
            done += 1
    return done


def stock(shop: Shop, rows: list[dict[str, Any]]) -> None:
    """Put on the shelves what AdventureWorks had."""
    for row in rows:
        shop.send("PUT", f"/stock/{row['number']}", {"on_hand": row["stock"]})


MAPPINGS = {
    "eshop": (eshop, eshop_shelves),
    "adventureworks": (adventureworks, adventureworks_shelves),
}


def main(words: list[str] | None = None) -> int:
    """Map, send, tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mapping", choices=MAPPINGS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--print", action="store_true", dest="shown")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder of eShop's pictures")
    parser.add_argument("--pictures-most", type=int, default=1_000_000)
    parser.add_argument("--stock", action="store_true", help="also put on_hand, for new goods")
    given = parser.parse_args(words)
    rows = json.loads(given.file.read_text("utf-8"), parse_float=Decimal)
    entry_of, shelves_of = MAPPINGS[given.mapping]
    entries = list(entry_of(rows))
    if given.shown:
        print("\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries))
        return 0
    if given.key_file is None:
        parser.error("--key-file: a file with an API key that may write the catalogue")
    shop = Shop(given.url, given.key_file.read_text().strip())
    for shelf in sorted(shelves_of(rows)):
        shop.shelf(shelf)
    if given.stock:
        stock(shop, rows)
    job = shop.load(entries)
    print({name: job[name] for name in ("created", "changed", "unchanged", "failed")})
    if given.pictures:
        print(f"{pictures(shop, rows, given.pictures, given.pictures_most)} pictures")
    return int(job["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
