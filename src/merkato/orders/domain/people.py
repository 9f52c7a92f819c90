"""How a person who ordered is found again. Pure."""

import unicodedata


def spellings(email: str) -> list[str]:
    """Give the forms, in lower case, in which an address may have been written at an order."""
    folded = unicodedata.normalize("NFKC", email).casefold()
    local, _, domain = folded.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode()
        unicode_domain = domain.encode().decode("idna") if domain.isascii() else domain
    except UnicodeError:
        ascii_domain = unicode_domain = domain
    return sorted({email.lower(), folded, f"{local}@{ascii_domain}", f"{local}@{unicode_domain}"})
