"""Files of comma-separated values, as people and spreadsheets write them: bytes become records, or one fault.

Read are UTF-8 and, with its byte order mark, UTF-16; commas, semicolons and tabs, whichever the first line has or a
line `sep=;` before it names; a header in any order and spelling of its columns' names, further columns included.
Whatever could be read in two ways is refused.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from program_enrollments.errors import InvalidFile
from program_enrollments.file_kinds import other_kind
from program_enrollments.limits import MOST_BYTES

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
QUOTED = re.compile(r'"(?:[^"]|"")*"?')
BOM = "\ufeff"
# All that str.strip() takes away, and byte order marks.
BLANK = BOM + "".join(filter(str.isspace, map(chr, range(0x3001))))

# What people call columns. A first line of such words in both places is a header, if not one that is understood.
COLUMN_WORDS = """
    external internal user student learner participant member person key id ids identifier number num no nr sid uid
    uuid guid code lms edx openedx open platform account login logon name names handle nick screen display first last
    given family middle full sur email e mail address university school college campus institution institutional partner
    registrar registration registry enrollment enrolment matriculation matric sis program programme course curriculum
    required optional new old current status
    matrikel nummer matrikelnummer benutzer benutzername vorname nachname kennung schlüssel konto
    clé cle utilisateur nom prénom prenom identifiant étudiant etudiant numéro numero matricule de du d l
    clave usuario nombre apellido apellidos estudiante alumno correo número matrícula matricula identificador
    usuário nome aluno chave utente studente matricola chiave gebruiker gebruikersnaam studentnummer sleutel naam
"""
COLUMN_NAME = re.compile(f"(?:{'|'.join(sorted(COLUMN_WORDS.split(), key=len, reverse=True))})+")


class Column(NamedTuple):
    """A column that a file may have: its name, the other names that it is known by, and whether it has to be there."""

    name: str
    synonyms: tuple[str, ...] = ()
    required: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name, *self.synonyms)


class Layout(NamedTuple):
    """How a file is written: its encoding, its delimiter, its header if it has one, and where each column is."""

    encoding: str
    delimiter: str
    header: tuple[str, ...] | None
    places: dict[str, int]


class Record(NamedTuple):
    """A record that is not blank: the line that it is on, and its cells."""

    line: int
    cells: list[str]


def read_records(data: bytes, columns: Sequence[Column]) -> tuple[Layout, Iterator[Record]]:
    """Read a file whose columns are named in its header or, without one, are the required ones in their order.

    Cells are as they stand in the file: see `trimmed`. Raise `InvalidFile`, also from the iterator, at the first line
    that cannot be read; its records so far are not to be used then.
    """
    if len(data) > MOST_BYTES:
        raise InvalidFile(f"the file is larger than {MOST_BYTES // 1_000_000} MB: split it")
    if kind := other_kind(data):
        raise InvalidFile(f"this is {kind}: save it as CSV (in Excel: CSV UTF-8, comma delimited)")
    encoding = _encoding(data)
    lines = enumerate(_lines(data, encoding), start=1)
    number, first = _first_line(lines)
    if separator := SEPARATOR.fullmatch(first):
        delimiter = _named(separator[1], number)
        number, first = _first_line(lines)
    else:
        delimiter = _delimiter(number, first, columns)
    records = _records(chain([first], (line for _, line in lines)), delimiter, number)
    top = next(records, None)
    places = _places(top.line, top.cells, columns) if top else None
    layout = Layout(
        "utf-8" if encoding == "utf-8" else "utf-8-sig",
        delimiter,
        tuple(map(trimmed, top.cells)) if top and places else None,
        places or {name: place for place, name in enumerate(required_names(columns))},
    )
    if top is None:
        return layout, records
    return layout, _no_wider(records if places else chain([top], records), top, delimiter)


def trimmed(cell: str) -> str:
    """A cell without the white space and the byte order marks around its value."""
    return cell.strip(BLANK)


def cells_at(cells: Sequence[str], places: Iterable[int | None]) -> list[str]:
    """The cells at some places of a record, trimmed; what a record or its file lacks is empty."""
    return [trimmed(cells[place]) if place is not None and place < len(cells) else "" for place in places]


def required_names(columns: Sequence[Column]) -> list[str]:
    """The names of the columns that every file has."""
    return [column.name for column in columns if column.required]


def find_columns(cells: Iterable[str], columns: Sequence[Column]) -> dict[str, list[int]]:
    """Where each column is named in a header, whatever the case and however its words are joined."""
    known = {_joined(name): column.name for column in columns for name in column.names}
    found: dict[str, list[int]] = {}
    for place, cell in enumerate(cells):
        if column := known.get(_joined(cell)):
            found.setdefault(column, []).append(place)
    return found


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"


def _lines(data: bytes, encoding: str) -> Iterator[str]:
    """Each line with what ends it, without byte order marks at its beginning: files are joined without much thought."""
    try:
        for line in io.TextIOWrapper(io.BytesIO(data), encoding, newline=""):
            yield line.lstrip(BOM)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise InvalidFile("the file is not whole: its UTF-16 breaks off, or holds half a character") from error
        raise InvalidFile(
            f"line {_undecodable(data)}: not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8, comma delimited)"
        ) from error


def _undecodable(data: bytes) -> int:
    """The number of the first line that is not UTF-8."""
    number = 0
    for line in io.BytesIO(data):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return number + len((line[: error.start] + b".").splitlines())
        number += len(line.splitlines())
    return number


def _first_line(lines: Iterator[tuple[int, str]]) -> tuple[int, str]:
    """The next line that is not blank, with its number; or nothing."""
    return next((numbered for numbered in lines if trimmed(numbered[1])), (0, ""))


def _named(delimiter: str, number: int) -> str:
    if delimiter not in DELIMITERS:
        raise InvalidFile(f"line {number}: sep={delimiter} is not known: use a comma, a semicolon or a tab")
    return delimiter


def _delimiter(number: int, first: str, columns: Sequence[Column]) -> str:
    """What separates values: the only one of the three that the first line has, or with which it is a header."""
    bare = re.sub(r"\s*([,;])\s*", r"\1", trimmed(QUOTED.sub("", first)))
    used = [delimiter for delimiter in DELIMITERS if delimiter in bare]
    if len(used) < 2:  # noqa: PLR2004 - one, or none
        return used[0] if used else ","
    understood = [delimiter for delimiter in used if _is_header(first, delimiter, columns)]
    if len(understood) == 1:
        return understood[0]
    raise InvalidFile(
        f"line {number}: it has {' and '.join(DELIMITERS[delimiter] for delimiter in used)}: say which of them separate"
        f" values by a first line, {_header(columns)} or sep={used[0]}"
    )


def _is_header(line: str, delimiter: str, columns: Sequence[Column]) -> bool:
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    found = find_columns(cells, columns)
    return all(name in found for name in required_names(columns))


def _records(lines: Iterable[str], delimiter: str, number: int) -> Iterator[Record]:
    """The records from that line on; a value that goes over several lines is a quote that nobody closed."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    before = number - 1
    begins = number
    try:
        for cells in reader:
            ends = before + reader.line_num
            if ends != begins:
                raise InvalidFile(f"line {begins}: a value has a line break in it; look for a quote that is left open")
            if any(map(trimmed, cells)):
                yield Record(begins, cells)
            begins = ends + 1
    except csv.Error as error:
        raise InvalidFile(f"line {begins}: {_csv_fault(str(error), delimiter)}") from error


def _no_wider(records: Iterable[Record], top: Record, delimiter: str) -> Iterator[Record]:
    """The records, unless one has more values than the first: its columns are not known if a value was in two."""
    for record in records:
        if any(map(trimmed, record.cells[len(top.cells) :])):
            raise InvalidFile(
                f"line {record.line}: it has more values than line {top.line}; a value that has a"
                f" {DELIMITERS[delimiter][:-1]} in it must be in quotes"
            )
        yield record


def _csv_fault(error: str, delimiter: str) -> str:
    if "expected after" in error:
        return f"between a closing quote and {DELIMITERS[delimiter][:-1]} there is more; a quote in a value is doubled"
    return "a quote is opened and not closed"


def _places(number: int, cells: Sequence[str], columns: Sequence[Column]) -> dict[str, int] | None:
    """Where the columns are, if the record is a header; None if it is a line of the table already."""
    found = find_columns(cells, columns)
    if not found:
        if _looks_like_header(cells, len(required_names(columns))):
            raise InvalidFile(f"line {number}: these columns are not known; known are {_known(columns)}")
        return None
    for column in columns:
        places = found.get(column.name, [])
        if column.required and not places:
            raise InvalidFile(f"line {number}: the header lacks {' or '.join(column.names)}")
        if len(places) > 1:
            named = " and ".join(trimmed(cells[place]) for place in places)
            raise InvalidFile(f"line {number}: {named} are the same column; leave one of them")
    return {column: places[0] for column, places in found.items()}


def _looks_like_header(cells: Sequence[str], required: int) -> bool:
    names = [re.sub(r"[\W_]+", "", cell).casefold() for cell in cells[:required]]
    return len(names) == required and all(COLUMN_NAME.fullmatch(name) for name in names)


def _known(columns: Sequence[Column]) -> str:
    return ", ".join(" or ".join(column.names) for column in columns)


def _header(columns: Sequence[Column]) -> str:
    return ",".join(required_names(columns))


def _joined(name: str) -> str:
    return re.sub(rf"[\s_{BOM}-]+", "", name).casefold()
