"""What the forms about goods mean: amounts, prices, texts, and changes of many prices. Pure."""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

import msgspec

from merkato.contracts.values import CURRENCY, LOCALE, digits

NUMBER = re.compile(
    r"(?P<sign>[+-]?)"
    r"(?P<whole>[1-9][0-9]{0,2}(?P<mark>[ .,'’])[0-9]{3}(?:(?P=mark)[0-9]{3})*|[0-9]*)"
    r"(?:(?!(?P=mark))[.,](?P<rest>[0-9]*))?"
)
TWO_WAYS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")  # thousands, or a fraction
AMOUNT_MAX = 10**12
BULK_MAX = 1_000  # products, or prices, that are changed by one form
PERCENT_MAX = 1_000
ROWS_MAX = 100  # prices of one sku
ROW = ("list", "currency", "from", "since", "amount")


class Wrong(Exception):
    """A field that cannot be meant; says which and what would do."""


def minor(text: str, currency: str, what: str = "Price") -> int:
    """Read an amount as minor units. Raises Wrong."""
    amount = signed(text, currency, what)
    if amount < 0:
        raise Wrong(f"{what}: not less than nothing.")
    return amount


def signed(text: str, currency: str, what: str) -> int:
    """Read an amount that may be below zero as minor units. Raises Wrong."""
    return _scaled(text, digits(currency), what, plain(1290, currency))


def _scaled(text: str, places: int, what: str, example: str) -> int:
    """Read a number as people type it, in units of its last place: 12,90 of two is 1290.

    Point and comma may each stand before a fraction or between thousands. Where nobody can tell
    which, as in 1,200, it is refused; a number without places has no fraction. Raises Wrong.
    """
    typed = re.sub(r"\s", " ", text.strip()).replace("−", "-")
    found = NUMBER.fullmatch(typed)
    if found is None or not (found["whole"] or found["rest"]):
        raise Wrong(f"{what}: a number such as {example}.")
    whole, rest = re.sub(r"\D", "", found["whole"]), found["rest"] or ""
    if places and TWO_WAYS.fullmatch(typed):
        if places != 3 or found["mark"] == ",":
            small = f"{whole[:-3]}.{whole[-3:]}".rstrip("0").rstrip(".")
            plainly = whole if len(small.partition(".")[2]) > places else f"{whole} or {small}"
            raise Wrong(f"{what}: {typed} can be read in two ways; write {plainly}.")
        whole, rest = whole[:-3], whole[-3:]  # as `plain` writes it
    number = Decimal(f"{found['sign']}{whole or 0}.{rest or 0}").scaleb(places)
    if abs(number) > AMOUNT_MAX or number != number.to_integral_value():
        raise Wrong(f"{what}: a number such as {example}.")
    return int(number)


def plain(amount_minor: int, currency: str) -> str:
    """Write an amount as people type it: 12.90."""
    places = digits(currency)
    return f"{Decimal(amount_minor).scaleb(-places):.{places}f}"


def whole(text: str, what: str, least: int = 0, most: int = 10**9) -> int:
    """Read a whole number. Raises Wrong."""
    if not re.fullmatch(r"[+-]?\d{1,10}", text) or not least <= int(text) <= most:
        raise Wrong(f"{what}: a whole number, at least {least}.")
    return int(text)


def basis_points(text: str, what: str = "Percent", most: int = 100) -> int:
    """Read a percentage, such as 19 or 5.5, as basis points. Raises Wrong."""
    found = _scaled(text.strip().removesuffix("%"), 2, what, "10 or 5.5")
    if abs(found) > most * 100:
        raise Wrong(f"{what}: at most {most}.")
    return found


def percent(points: int) -> str:
    """Write basis points as people type a percentage: 5.5."""
    return f"{Decimal(points).scaleb(-2):.2f}".rstrip("0").rstrip(".")


def amounts(text: str, what: str) -> dict[str, int]:
    """Read amounts by currency, such as `EUR 4.90, USD 5.50`. Raises Wrong."""
    found: dict[str, int] = {}
    for part in re.split(r"[;\n]|,\s*(?=[A-Za-z])", text):
        words = part.split()
        if not words:
            continue
        currency = words[0].upper().rstrip(":")
        if len(words) != 2 or not re.match(CURRENCY, currency) or currency in found:
            raise Wrong(f"{what}: each currency once, such as EUR 4.90, USD 5.50.")
        found[currency] = minor(words[1], currency, what)
    return found


def written(amounts_minor: Mapping[str, int]) -> str:
    """Write amounts by currency as `amounts` reads them."""
    return ", ".join(f"{name} {plain(one, name)}" for name, one in sorted(amounts_minor.items()))


def listed(text: str) -> list[str]:
    """Read words with commas between them."""
    return [one.strip() for one in re.split(r"[,\n]", text) if one.strip()]


def texts(
    form: Mapping[str, str], before: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Read the texts of a form by locale: `title.de`, `description.de`, `slug.de`.

    A locale whose title is emptied goes; what the form does not name stays. Raises Wrong.
    """
    found = {locale: dict(words) for locale, words in before.items()}
    for name, title in form.items():
        locale = name.removeprefix("title.")
        if locale == name:
            continue
        if locale == "new":
            locale = form.get("locale.new", "").strip()
            if not title:
                continue
            if not re.match(LOCALE, locale):
                raise Wrong("Language: its code, such as fr or pt-BR.")
            words = {"title": title, "description": form.get("description.new", "")}
        elif not title:
            found.pop(locale, None)
            continue
        else:
            words = {"title": title, "description": form.get(f"description.{locale}", "")}
            if slug := form.get(f"slug.{locale}"):
                words["slug"] = slug
        found[locale] = words
    return found


def typed_texts(
    form: Mapping[str, str], before: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Give the texts of a form as they were typed, wrong or not, to be shown in it again."""
    named = [name.removeprefix("title.") for name in form if name.startswith("title.")]
    parts = ("title", "description", "slug")
    return {
        **before,
        **{one: {part: form.get(f"{part}.{one}", "") for part in parts} for one in named},
    }


def price_rows(form: Mapping[str, str]) -> list[dict[str, Any]]:
    """Read rows of prices: `price.0.list`, `.currency`, `.from`, `.since` and `.amount`, and so on.

    A row without an amount is left out. Raises Wrong.
    """
    rows = []
    for given in typed_rows(form):
        if not given["amount"]:
            continue
        currency = given["currency"].upper()
        if not re.match(CURRENCY, currency):
            raise Wrong("Currency: three letters, such as EUR.")
        row: dict[str, Any] = {
            "price_list": given["list"] or "standard", "currency": currency,
            "from_quantity": whole(given["from"] or "1", "From pieces", 1, 1_000_000),
            "amount_minor": minor(given["amount"], currency),
        }  # fmt: skip
        if given["since"]:
            row["valid_from"] = instant(given["since"], "From day")
        rows.append(row)
    return rows


def typed_rows(form: Mapping[str, str]) -> list[dict[str, str]]:
    """Give the rows of prices of a form as they were typed."""
    rows = [
        {name: form.get(f"price.{number}.{name}", "") for name in ROW} for number in range(ROWS_MAX)
    ]
    return [row for row in rows if any(row.values())]


def written_rows(prices: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Write prices as rows of a form."""
    return [
        {
            "list": one["price_list"], "currency": one["currency"],
            "from": str(one["from_quantity"]), "since": moment_of(one["valid_from"]),
            "amount": plain(one["amount_minor"], one["currency"]),
        }
        for one in prices
    ]  # fmt: skip


def instant(text: str, what: str) -> str:
    """Read a day, or a moment as `moment_of` writes it, in UTC, as RFC 3339. Raises Wrong."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"{text}T00:00:00Z"
    if re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text):
        return f"{text[:10]}T{text[11:]}:00Z"
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", text):
        return text
    raise Wrong(f"{what}: a day such as 2030-01-31, or 2030-01-31 08:00.")


def moment_of(text: str | None) -> str:
    """Write a moment as people type it: the day alone when it begins with the day in UTC."""
    at = (text or "").replace("+00:00", "Z")
    return at.removesuffix("T00:00:00Z")


def options(text: str) -> list[dict[str, Any]]:
    """Read what there is to choose, a line each: `colour: moss, sand`. Raises Wrong."""
    found = []
    for line in text.splitlines():
        name, colon, values = line.partition(":")
        if not line.strip():
            continue
        if not colon or not listed(values):
            raise Wrong("Options: a line each, such as colour: moss, sand.")
        found.append({"name": name.strip(), "values": listed(values)})
    return found


def attributes(text: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """Read attributes, a line each: `material: stoneware`. Raises Wrong.

    Whole numbers and yes or no are told from texts as they are written; what was a text stays one.
    """
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not name and not value:
            continue
        if not colon or not name or not value:
            raise Wrong("Attributes: a line each, such as material: stoneware.")
        kept_as_text = isinstance(before.get(name), str)
        if not kept_as_text and re.fullmatch(r"-?\d{1,15}", value):
            found[name] = int(value)
        elif not kept_as_text and value in ("yes", "no"):
            found[name] = value == "yes"
        else:
            found[name] = value
    return found


def lines(values: Mapping[str, Any]) -> str:
    """Write attributes as `attributes` reads them."""
    shown = {True: "yes", False: "no"}
    return "\n".join(
        f"{name}: {shown[value] if isinstance(value, bool) else value}"
        for name, value in values.items()
    )


class PriceChange(NamedTuple):
    """How prices of a list and a currency shall change: by basis points or by minor units."""

    price_list: str
    currency: str
    points: int = 0
    sum_minor: int = 0
    ending: str = ""  # 10: to tens of minor units; 99: to whole ones less one minor unit


class NewPrice(msgspec.Struct, frozen=True, array_like=True):
    """A price and what becomes of it, as the form that shows it sends it back."""

    sku: str
    from_quantity: int
    was_minor: int
    amount_minor: int


def price_change(form: Mapping[str, str], currency: str) -> PriceChange:
    """Read how prices shall change. Raises Wrong."""
    currency = (form.get("currency") or currency).upper()
    if not re.match(CURRENCY, currency):
        raise Wrong("Currency: three letters, such as EUR.")
    price_list, ending = form.get("price_list") or "standard", form.get("ending", "")
    if form.get("by") == "sum":
        by = signed(form.get("amount", ""), currency, "By how much")
        return PriceChange(price_list, currency, 0, by, ending)
    points = basis_points(form.get("amount", ""), "By how much", PERCENT_MAX)
    return PriceChange(price_list, currency, points, 0, ending)


def changed_price(amount_minor: int, change: PriceChange) -> int:
    """Give what a price becomes, in minor units.

    What costs something never becomes free: it keeps the smallest price that ends as it shall.
    """
    exact = (Decimal(amount_minor) * (10_000 + change.points)).scaleb(-4) + change.sum_minor
    places = digits(change.currency)
    match change.ending:
        case "10":
            rounded, least = _rounded(exact, 1), 10
        case "99" if places:
            rounded, least = _rounded(exact + 1, places) - 1, 10**places - 1
        case _:
            rounded, least = _rounded(exact, 0), 1
    return max(least if amount_minor else 0, int(rounded))


def _rounded(amount: Decimal, places: int) -> Decimal:
    """Round to so many zeros at the end, a half up."""
    return amount.scaleb(-places).to_integral_value(ROUND_HALF_UP).scaleb(places)


def ids(form: Mapping[str, str]) -> list[str]:
    """List the products that a form names: ticked ones, or those of a form before this one."""
    return named(form, "id.") or listed(form.get("ids", ""))


def named(form: Mapping[str, str], prefix: str) -> list[str]:
    """List what is ticked of the fields whose names begin so."""
    return [name.removeprefix(prefix) for name in form if name.startswith(prefix)]


def several(count: int, noun: str) -> str:
    """Write how many there are of something: 1 price, 1,200 prices."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def flat(branches: Sequence[Mapping[str, Any]], depth: int = 0) -> list[dict[str, Any]]:
    """List a tree of categories from the top, each with its depth and its place."""
    found: list[dict[str, Any]] = []
    for place, one in enumerate(branches):
        found.append(
            {
                **one, "depth": depth, "is_first": place == 0,
                "is_last": place == len(branches) - 1,
            }
        )  # fmt: skip
        found += flat(one["children"], depth + 1)
    return found


def below(branches: Sequence[Mapping[str, Any]], category_id: str) -> set[str]:
    """Give the ids of a category and of all below it: it cannot be moved there."""
    for one in branches:
        if one["id"] == category_id:
            return {item["id"] for item in flat([one])}
        if found := below(one["children"], category_id):
            return found
    return set()


def chosen(given: Sequence[Mapping[str, Any]]) -> str:
    """Write options as `options` reads them."""
    return "\n".join(f"{one['name']}: {', '.join(one['values'])}" for one in given)


def thumbnail(image: Mapping[str, Any], least: int = 480) -> str:
    """Choose the file of a picture that is large enough for a list."""
    for size in image["sizes"]:
        if max(size["width"], size["height"]) >= least:
            return str(size["url"])
    return str(image["sizes"][-1]["url"])
