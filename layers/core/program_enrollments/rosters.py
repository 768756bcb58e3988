"""The rosters that an operator hands in: KEY:USERNAME arguments or a CSV file; and the file of the lines that failed.

A roster is checked whole before anything is sent. What surrounds a key or a username is trimmed, as Open edX's command
does; what remains is used exactly as it is.
"""

import codecs
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO

from program_enrollments.limits import LONGEST_KEY, LONGEST_USERNAME, caseless

COLUMNS = ("external_user_key", "lms_username")
MOST_FAULTS = 20
STANDARD_INPUT = "-"


class InvalidInput(Exception):
    """What an operator handed in cannot be used as it is; the message tells one fault a line."""

    def __init__(self, *faults: str) -> None:
        more = [f"and {len(faults) - MOST_FAULTS:,} faults more"] if len(faults) > MOST_FAULTS else []
        super().__init__("\n".join([*faults[:MOST_FAULTS], *more]))


class Line(NamedTuple):
    """One line of a roster: where it stands, what it says, and what to tell where a part of it is blank."""

    where: str
    external_user_key: str
    lms_username: str
    complaint: str


def read_items(items: Sequence[str], *, ignore_case: bool) -> dict[str, str]:
    """Read KEY:USERNAME arguments; raise `InvalidInput`.

    An item is split at its last colon: a key may hold colons, a username never does.
    """
    return _checked((_item(number, item) for number, item in enumerate(items, start=1)), ignore_case=ignore_case)


def read_csv(file: str, *, ignore_case: bool) -> tuple[dict[str, str], str]:
    """Read a CSV file, or standard input where it is `-`; raise `InvalidInput`.

    Return the encoding too, so that another file can be written in the same form: `utf-8-sig` is Excel's UTF-8.
    """
    data = _bytes(file)
    encoding = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
    return _checked(_csv_lines(_text(data)), ignore_case=ignore_case), encoding


def write_failed(file: TextIO, roster: Mapping[str, str], failed: Mapping[str, tuple[str, str]]) -> None:
    """Write the failed lines of a roster, each with its code and its message, so that `read_csv` reads them again."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, "code", "message"])
    writer.writerows([key, roster[key], code, message] for key, (code, message) in failed.items())


def _item(number: int, item: str) -> Line:
    key, _, username = item.rpartition(":")
    complaint = f"incorrectly formatted argument '{item}', must be in form <external user key>:<lms username>"
    return Line(f"item {number}", key.strip(), username.strip(), complaint)


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error


def _text(data: bytes) -> str:
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = len((data[: error.start] + b".").splitlines())
        raise InvalidInput(
            f"line {line}: not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8, comma delimited)"
        ) from error


def _csv_lines(text: str) -> Iterator[Line]:
    records = _records(text)
    first = next(records, None)
    if first is None:
        return
    header = _header(*first)
    key_at, username_at = header or (0, 1)
    for number, cells in records if header else chain([first], records):
        cell = dict(enumerate(cells)).get  # a record may be short
        complaint = f"both values are needed: {','.join(COLUMNS)}"
        yield Line(f"line {number}", cell(key_at, ""), cell(username_at, ""), complaint)


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, its cells trimmed, with the number of the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    begins = 1
    try:
        for cells in reader:
            if any(trimmed := [cell.strip() for cell in cells]):
                yield begins, trimmed
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(f"line {begins}: not CSV: {error}") from error


def _header(number: int, cells: Sequence[str]) -> tuple[int, int] | None:
    """Where the two columns are, if the record is a header; None if it is a line of the roster already."""
    names = [cell.casefold() for cell in cells]
    missing = [column for column in COLUMNS if column not in names]
    if len(missing) == 1:
        raise InvalidInput(f"line {number}: the header lacks {missing[0]}")
    return None if missing else (names.index(COLUMNS[0]), names.index(COLUMNS[1]))


def _checked(lines: Iterable[Line], *, ignore_case: bool) -> dict[str, str]:
    first: dict[str, Line] = {}
    faults: list[str] = []
    for line in lines:
        key = line.external_user_key
        if fault := _fault(line):
            faults.append(f"{line.where}: {fault}")
        elif (other := first.setdefault(caseless(key) if ignore_case else key, line)) is not line:
            faults.append(f"{line.where}: {_repetition(key, other)}")
    if faults:
        raise InvalidInput(*faults)
    return {line.external_user_key: line.lms_username for line in first.values()}


def _fault(line: Line) -> str | None:
    """What the API and the database would refuse."""
    if not (line.external_user_key and line.lms_username):
        return line.complaint
    limits = (line.external_user_key, LONGEST_KEY), (line.lms_username, LONGEST_USERNAME)
    for column, (value, longest) in zip(COLUMNS, limits, strict=True):
        if len(value) > longest:
            return f"{column} is longer than {longest} characters"
        if "\0" in value:
            return f"{column} holds a NUL character"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return f"{column} is not UTF-8"
    return None


def _repetition(key: str, other: Line) -> str:
    if key == other.external_user_key:
        return f"external user key {key} provided multiple times, first in {other.where}"
    return f"external user key {key} differs from {other.external_user_key} in {other.where} in case alone"
