"""How long, how many, and which external user keys count as the same: for the API, the command and the core."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from uuid import UUID

# Python's own reader takes hyphens anywhere, underscores, and the digits of every script.
SPELT_UUID = re.compile(r"(urn:uuid:)?\{?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.ASCII | re.IGNORECASE)
MOST_KEYS = 10_000
LONGEST_KEY = 255
LONGEST_USERNAME = 150
# A file, whichever it reaches first.
MOST_LINES = 1_000_000
MOST_BYTES = 200_000_000
LONGEST_COURSE_KEY = 255
LONGEST_SLUG = 32
# A status that nobody knows is a verdict on its row, up to this length.
LONGEST_STATUS = 100


def caseless(key: str) -> str:
    """What two external user keys have in common if they differ only in case: ß and SS are different letters."""
    return key.lower()


def alike(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each key that differs only in case from an earlier one, after that one."""
    seen: dict[str, str] = {}
    for key in keys:
        if (other := seen.setdefault(caseless(key), key)) != key:
            yield other, key


def fault(text: str, longest: int) -> str | None:
    """Why a key or a username cannot be taken as it is, as the end of a sentence; None if it can."""
    if not text:
        return "is empty"
    if len(text) > longest:
        return f"is longer than {longest} characters"
    if "\0" in text:
        return "has a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has a lone surrogate, which is not a character"
    return None


def checked_text(name: str, text: object, longest: int) -> str:
    """The text, if it can be taken as it is; raise `ValueError` with its name if not."""
    if not isinstance(text, str):
        raise ValueError(f"{name} {text!r} is not a string")  # noqa: TRY004 - one exception for all that is refused
    if reason := fault(text, longest):
        raise ValueError(f"{name} {text!r} {reason}")
    return text


def checked_options(**options: object) -> None:
    """Raise `ValueError` with its name for an option that is neither true nor false: `"false"` would count as true."""
    for name, value in options.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} {value!r} is neither True nor False")  # noqa: TRY004 - as `checked_text`


def checked_uuid(name: str, value: object) -> str:
    """The UUID in its usual spelling; raise `ValueError` with its name if it is none."""
    if (usual := _usual_spelling(str(value))) is None:
        raise ValueError(f"{name} {value!r} is not a UUID")
    return usual


@lru_cache  # most rows of a request name the same curriculum
def _usual_spelling(uuid: str) -> str | None:
    return str(UUID(uuid)) if SPELT_UUID.fullmatch(uuid) else None
