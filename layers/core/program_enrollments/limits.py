"""How long, how many, and which external user keys count as the same: for the API, the command and the core."""

MOST_KEYS = 10_000
LONGEST_KEY = 255
LONGEST_USERNAME = 150


def caseless(key: str) -> str:
    """What two external user keys have in common if they differ only in case: ß and SS are different letters."""
    return key.lower()


def fault(text: str, longest: int) -> str | None:
    """Why a key or a username cannot be taken as it is, as the end of a sentence; None if it can."""
    if not text:
        return "is empty"
    if len(text) > longest:
        return f"is longer than {longest} characters"
    if "\0" in text:
        return "has a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "has a lone surrogate, which is not a character"
    return None
