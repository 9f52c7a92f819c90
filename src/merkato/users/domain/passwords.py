"""What a good password is."""

import unicodedata

from merkato.contracts.problem import Validation

PASSWORD_CHARS_MIN = 15  # NIST SP 800-63B-4, 3.1.1.2, for a password that is the only factor
PASSWORD_CHARS_MAX = 128
UNGUESSABLE_CHARS = 6  # so many must be left of a password without its well-known parts
PERIOD_CHARS_MAX = 8  # "abcabcabc" repeats three; a unit this short is refused

# What people begin and end passwords with, longest first; the shop's name is added.
WELL_KNOWN = (
    "correcthorsebatterystaple", "thequickbrownfox", "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm", "administrator", "01234567890", "1234567890", "qwertyuiop",
    "987654321", "123456789", "qazwsxedc", "iloveyou", "password", "passwort", "motdepasse",
    "asdfghjkl", "superman", "baseball", "football", "sunshine", "princess", "trustno", "letmein",
    "welcome", "qwertz", "qwerty", "azerty", "zxcvbnm", "dragon", "monkey", "master", "shadow",
    "secret", "changeme", "login", "admin", "abcdef", "abc", "123456", "12345", "1234", "123",
)  # fmt: skip
SIGNS_AS_LETTERS = str.maketrans("@$!", "asi")
DIGITS_AS_LETTERS = str.maketrans("03457", "oeast")


def normal_password(password: str) -> str:
    """Bring a password into the form that is hashed: NFKC, so that any keyboard gives the same."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, email: str, shop_name: str, pointer: str = "/password") -> str:
    """Give a new password in normal form. Raises Validation when it is short or easily guessed.

    After NIST SP 800-63B-4: length and a list of what is guessed first, no rules of composition.
    """
    normal = normal_password(password)
    if len(normal) < PASSWORD_CHARS_MIN:
        raise Validation.at(
            pointer, f"A password has at least {PASSWORD_CHARS_MIN} characters; a few words do."
        )
    if len(normal) > PASSWORD_CHARS_MAX:
        raise Validation.at(pointer, f"A password has at most {PASSWORD_CHARS_MAX} characters.")
    local = email.rpartition("@")[0]
    if is_guessable(normal, (shop_name, local, email)):
        raise Validation.at(
            pointer,
            "This password is guessed first: it repeats itself, or is little more than well-known "
            "words, your address or the shop's name. A few unrelated words are better.",
        )
    return normal


def is_guessable(password: str, names: tuple[str, ...]) -> bool:
    """Tell whether a password is repetition, or little more than well-known words and `names`."""
    folded = password.casefold()
    if (folded + folded).find(folded, 1) <= PERIOD_CHARS_MAX or len(set(folded)) < 5:
        return True
    own = {_letters(name) for name in ("merkato", *names)}
    known = sorted({*WELL_KNOWN, *(name for name in own if len(name) >= 3)}, key=len, reverse=True)
    whole = _letters(folded)
    rest = _without(_without(whole, known).translate(DIGITS_AS_LETTERS), known)
    return len(rest) < len(whole) and len(set(rest)) < UNGUESSABLE_CHARS


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold().translate(SIGNS_AS_LETTERS)))


def _without(text: str, pieces: list[str]) -> str:
    for piece in pieces:
        text = text.replace(piece, "")
    return text
