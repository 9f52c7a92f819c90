"""The printable page of an order, in its own locale with English as the fallback."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined

from merkato.contracts.money import money

WORDS = {
    "en": {
        "invoice": "Invoice", "order": "Order", "of": "of", "seller": "Seller", "buyer": "Buyer",
        "ship_to": "Ship to", "pieces": "Qty", "article": "Article", "price": "Price",
        "discount": "Discount", "tax": "Tax", "amount": "Amount", "items": "Items",
        "shipping": "Shipping", "total": "Total", "net": "net", "rate": "Tax at",
        "tax_id": "VAT no.", "reference": "Your reference", "credits": "Credits",
        "cancellation": "Cancelled", "return": "Returned", "goodwill": "Credit",
        "left": "Remaining", "paid": "Paid", "refunded": "Refunded", "payment": "Payment",
        "on_account": "on account", "card": "by card",
        "included": "Prices include tax.", "excluded": "Prices are without tax.",
        "cancelled": "This order was cancelled.",
    },
    "de": {
        "invoice": "Rechnung", "order": "Bestellung", "of": "vom", "seller": "Verkäufer",
        "buyer": "Käufer", "ship_to": "Lieferanschrift", "pieces": "Menge", "article": "Artikel",
        "price": "Preis", "discount": "Rabatt", "tax": "Steuer", "amount": "Betrag",
        "items": "Artikel", "shipping": "Versand", "total": "Gesamtbetrag", "net": "netto",
        "rate": "Umsatzsteuer", "tax_id": "USt-IdNr.", "reference": "Ihr Zeichen",
        "credits": "Gutschriften", "cancellation": "Storniert", "return": "Zurückgegeben",
        "goodwill": "Gutschrift", "left": "Verbleibend", "paid": "Bezahlt", "refunded": "Erstattet",
        "payment": "Zahlung", "on_account": "auf Rechnung", "card": "mit Karte",
        "included": "Die Preise enthalten die Steuer.", "excluded": "Die Preise sind ohne Steuer.",
        "cancelled": "Diese Bestellung wurde storniert.",
    },
}  # fmt: skip

_pages = Environment(
    loader=PackageLoader("merkato.orders", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def invoice(locale: str, currency: str, data: Mapping[str, Any]) -> str:
    """Write the page of an order; `data` are the fields of http.invoices.Invoice."""
    region = _region(locale)
    language = region.language if region.language in WORDS else "en"

    def rate(basis_points: int) -> str:
        return format_decimal(Decimal(basis_points).scaleb(-2).normalize(), locale=region) + " %"

    return _pages.get_template("invoice.html").render(
        data,
        words=WORDS[language],
        language=language,
        money=lambda minor: money(minor, currency, region),
        rate=rate,
        day=lambda at: format_date(at, "long", locale=region),
    )


def _region(locale: str) -> Locale:
    try:
        known = Locale.parse(locale, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale("en")
    return known if known.language in WORDS else Locale("en")
