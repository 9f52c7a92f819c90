"""Reading the API's form fields: what may be sent, and what each has to look like."""

import re

from merkato.outside.processor.domain import AMOUNT_MAX, invalid

# Accepted and of no effect here, beside those a route reads itself.
IGNORED = frozenset(
    (
        "automatic_payment_methods",
        "expand",
        "off_session",
        "payment_method_options",
        "payment_method_types",
        "setup_future_usage",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "use_stripe_sdk",
    )
)
_METADATA = re.compile(r"metadata\[([^\[\]]{1,40})\]")
_CLAUSE = re.compile(
    r"""\s*(?:metadata\[(['"])(?P<label>.+?)\1\]|(?P<field>\w+))\s*:\s*(['"])(?P<value>.*?)\4\s*"""
)


def known(form: dict[str, str], *names: str) -> None:
    """Raise Refused (400) for a field that is neither read by the route nor in IGNORED."""
    for field in form:
        name = field.partition("[")[0]
        if name not in names and name not in IGNORED:
            raise invalid(
                f"Received unknown parameter: {field}", code="parameter_unknown", param=field
            )


def amount(form: dict[str, str], name: str) -> int | None:
    """Give an amount in minor units, 1 to AMOUNT_MAX; None when it was not sent. Raises Refused."""
    text = form.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,30}", text):
        raise invalid(f"Invalid integer: {text}", code="parameter_invalid_integer", param=name)
    number = int(text)
    if number < 1:
        raise invalid(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param=name,
        )
    if number > AMOUNT_MAX:
        raise invalid(
            f"Amount must be no more than {AMOUNT_MAX}.", code="amount_too_large", param=name
        )
    return number


def required(form: dict[str, str], name: str) -> str:
    """Give a field's text. Raises Refused (400) when it was not sent or is empty."""
    if not form.get(name):
        raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return form[name]


def currency(form: dict[str, str]) -> str:
    """Give the currency in lower case. Raises Refused (400)."""
    text = required(form, "currency").lower()
    if not re.fullmatch(r"[a-z]{3}", text):
        raise invalid(f"Invalid currency: {text}", param="currency")
    return text


def flag(form: dict[str, str], name: str) -> bool:
    """Give a yes or no; no when it was not sent."""
    return form.get(name, "false").lower() in ("true", "1")


def metadata(form: dict[str, str]) -> dict[str, str]:
    """Give the metadata: at most 50 values of at most 500 characters. Raises Refused (400)."""
    pairs = {m[1]: value for name, value in form.items() if (m := _METADATA.fullmatch(name))}
    if len(pairs) > 50 or any(len(value) > 500 for value in pairs.values()):
        raise invalid("Metadata has at most 50 values of 500 characters.", param="metadata")
    return pairs


def return_url(form: dict[str, str]) -> str | None:
    """Give where a challenge leads back to. Raises Refused (400) unless it is http or https."""
    url = form.get("return_url")
    if url and not re.fullmatch(r"https?://[!-~]+", url):  # visible ASCII: it becomes a header
        raise invalid(f"Not a valid URL: {url}", code="url_invalid", param="return_url")
    return url or None


def limit(query: dict[str, str]) -> int:
    """Give how many of a list are wanted: 1 to 100, 10 by default. Raises Refused (400)."""
    text = query.get("limit", "10")
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
        raise invalid("Limit must be between 1 and 100.", param="limit")
    return int(text)


def clauses(query: str) -> list[tuple[str, str, str]]:
    """Read a search: `metadata['a']:'b' AND status:'c'` is (metadata, a, b) and (status, , c).

    Raises Refused (400) for anything else, OR and comparisons of size included.
    """
    found = []
    for part in re.split(r"\sAND\s", query):
        match = _CLAUSE.fullmatch(part)
        if match is None or (match["field"] not in (None, "status", "currency")):
            raise invalid(f"We were unable to parse the search query: {query}", param="query")
        field = "metadata" if match["label"] else match["field"]
        found.append((field, match["label"] or "", match["value"]))
    return found
