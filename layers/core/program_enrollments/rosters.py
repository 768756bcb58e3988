"""Rosters: the bytes of a file, or KEY:USERNAME items, become external user keys with their usernames, or faults.

A roster is checked whole. What surrounds a key or a username is trimmed, as Open edX's command does; what remains is
used exactly as it is.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from program_enrollments.csv_files import Column, Layout, find_columns, read_records, trimmed
from program_enrollments.errors import InvalidFile
from program_enrollments.limits import LONGEST_KEY, LONGEST_USERNAME, MOST_LINES, caseless, fault

MOST_FAULTS = 20
COLUMNS = ("external_user_key", "lms_username")
KNOWN_COLUMNS = (
    Column(COLUMNS[0], ("external_key", "student_key", "external_student_key")),
    Column(COLUMNS[1], ("username", "lms_user")),
)
# By which most usernames are distinguished from a column's name at little cost.
LAST_OF_NAMES = {name[-4:] for name in KNOWN_COLUMNS[1].names}


class Line(NamedTuple):
    """One line of a roster: its number, its key and username, trimmed, and what is amiss with its form."""

    number: int
    external_user_key: str
    lms_username: str
    amiss: str | None


class Roster(NamedTuple):
    """Each external user key with its username, in the order of the file, and how the file is written."""

    pairs: dict[str, str]
    layout: Layout


def read_roster(data: bytes, *, ignore_case: bool = False) -> Roster:
    """Read the bytes of a file, and check all its lines; raise `InvalidFile` with its faults.

    With `ignore_case`, keys that differ only in case are the same key.
    """
    layout, records = read_records(data, KNOWN_COLUMNS)
    key_at, username_at = (layout.places[column] for column in COLUMNS)
    lines = (_line(number, cells, key_at, username_at) for number, cells in records)
    pairs = _checked(lines, "line", ignore_case=ignore_case)
    if not pairs:
        raise InvalidFile("the file has a header and no line after it" if layout.header else "the file is empty")
    return Roster(pairs, layout)


def read_items(items: Sequence[str], *, ignore_case: bool = False) -> dict[str, str]:
    """Read KEY:USERNAME arguments; raise `InvalidFile` with their faults.

    An item is split at its last colon: a key may have colons, a username never does.
    """
    return _checked(
        (_item(number, item) for number, item in enumerate(items, start=1)), "item", ignore_case=ignore_case
    )


def _line(number: int, cells: list[str], key_at: int, username_at: int) -> Line:
    raw_key, raw_username, *_ = [cells[place] if place < len(cells) else "" for place in (key_at, username_at)]
    key, username = trimmed(raw_key), trimmed(raw_username)
    amiss = None
    if not (key and username):
        amiss = f"both values are needed: {','.join(COLUMNS)}"
    elif (key[0] == '"' and key != raw_key) or (username[0] == '"' and username != raw_username):
        amiss = "a quote has something invisible before it"
    elif username[-4:].casefold() in LAST_OF_NAMES and len(find_columns((key, username), KNOWN_COLUMNS)) > 1:
        amiss = "a header again; join files without theirs"
    return Line(number, key, username, amiss)


def _item(number: int, item: str) -> Line:
    key, _, username = item.rpartition(":")
    key, username = trimmed(key), trimmed(username)
    amiss = f"incorrectly formatted argument '{item}', must be in form <external user key>:<lms username>"
    return Line(number, key, username, None if key and username else amiss)


def _checked(lines: Iterable[Line], unit: str, *, ignore_case: bool) -> dict[str, str]:
    """All pairs, if no line has a fault; the first faults are worded, and the others counted."""
    pairs: dict[str, str] = {}
    first: dict[str, str] = {} if ignore_case else pairs  # each has an entry for each line that is taken, in order
    numbers = array("L")
    faults: list[str] = []
    others = 0
    for line in lines:
        key = line.external_user_key
        same = caseless(key) if ignore_case else key
        wrong = line.amiss or _fault(key, line.lms_username)
        if wrong is None and same not in first:
            first[same] = pairs[key] = line.lms_username
            numbers.append(line.number)
        elif len(faults) == MOST_FAULTS:
            others += 1
        elif wrong is None:
            place = next(place for place, other in enumerate(first) if other == same)
            faults.append(f"{unit} {line.number}: {_repetition(key, pairs, place, f'{unit} {numbers[place]}')}")
        else:
            faults.append(f"{unit} {line.number}: {wrong}")
    if faults:
        raise InvalidFile(*faults, others=others)
    if len(pairs) > MOST_LINES:
        raise InvalidFile(f"there are more than {MOST_LINES:,} lines: split the file")
    return pairs


def _fault(key: str, username: str) -> str | None:
    """What the core would refuse, and what would not come back out of a file."""
    if wrong := fault(key, LONGEST_KEY):
        return f"{COLUMNS[0]} {wrong}"
    if wrong := fault(username, LONGEST_USERNAME):
        return f"{COLUMNS[1]} {wrong}"
    if "\n" in key or "\n" in username or "\r" in key or "\r" in username:
        return "a value has a line break in it"
    return None


def _repetition(key: str, pairs: Mapping[str, str], place: int, where: str) -> str:
    if key in pairs:
        return f"external user key {key} provided multiple times, first in {where}"
    other = next(islice(pairs, place, None))
    return f"external user key {key} differs only in case from {other} in {where}"
