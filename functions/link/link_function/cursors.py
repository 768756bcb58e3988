"""Where a page begins, as text that a caller hands back as it is."""

import base64
import hashlib
import re
import struct
from typing import NamedTuple

LENGTH = 20
PACKED = struct.Struct(">?Q")
# A cursor is no secret: the check keeps cut and mixed-up ones from being taken for another place.
CHECK_BYTES = 6


class Place(NamedTuple):
    """After an id, or before one."""

    after: int | None = None
    before: int | None = None


def cursor(place: Place, question: str) -> str:
    """The cursor of a place in the answer to a question, which is all that decides what rows there are."""
    packed = PACKED.pack(place.before is not None, place.after if place.before is None else place.before)
    return base64.urlsafe_b64encode(packed + _check(packed, question)).decode()


def place(cursor: str, question: str) -> Place | None:
    """The place that a cursor stands for; None if it is no cursor, or one of another question."""
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{{LENGTH}}}", cursor):
        return None
    decoded = base64.urlsafe_b64decode(cursor)
    packed, check = decoded[: PACKED.size], decoded[PACKED.size :]
    if check != _check(packed, question):
        return None
    is_before, row_id = PACKED.unpack(packed)
    return Place(before=row_id) if is_before else Place(after=row_id)


def _check(packed: bytes, question: str) -> bytes:
    return hashlib.blake2b(packed + question.encode(), digest_size=CHECK_BYTES).digest()
