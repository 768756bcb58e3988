"""Each key and username is linked exactly as it is written, or its file is refused whole: nothing is ever changed."""

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Literal

from hypothesis import example, given
from hypothesis import strategies as st

from local.lms import PROGRAM, Lms
from program_enrollments import InvalidFile
from program_enrollments.csv_files import trimmed
from program_enrollments.rosters import COLUMNS, read_items, read_roster
from program_linking.main import run

# What drivers, readers of CSV, spreadsheets, shells and formats of text take for something else, and look-alikes.
SPECIAL = [
    *("NULL", "Null", "null", "\\N", "\\n", "{}", "{NULL}", "[]", "()", "None", "nan", "true", "t", "''", "\\", "\\\\"),
    *("007", "7", "7.0", "1E+05", "100000", "1,5", "1;5", "=1+1", '="007"', "+49", "-7", "@SUM(A1)", "2026-01-02"),
    *('"', '""', '"a"', 'a"b', "'a'", "a b", "a\tb", "a\xa0b", "a\u200bb", "a\u2028b", "a\x85b", "a\ufeffb", "a\x1bb"),
    *("e\u0301", "\xe9", "\ufb01", "fi", "\u017f", "s", "\xdf", "SS", "\u0130", "i", "I", "\u0131", "\u202eabc"),
    *("%s", "%%", ":a", "$1", "$HOME", "`id`", "*", "~", "a:b", "<b>", "&amp;", "/* */", "a'); --", "sep=;", "key"),
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(SPECIAL)
CELLS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6)


def test_special_spellings_are_linked_literally(lms: Lms, tmp_path: Path) -> None:
    """Each spelling as a key is linked to the account with that very username, and to no look-alike of it."""
    for spelling in SPECIAL:
        lms.user(spelling)
        lms.enrollment(spelling)
    file = tmp_path / "roster.csv"
    with file.open("w", encoding="utf-8", newline="") as written:
        csv.writer(written).writerows([COLUMNS, *zip(SPECIAL, SPECIAL, strict=True)])
    assert run(["link", PROGRAM, "--csv", str(file)]) == 0
    assert lms.run(
        "SELECT count(*) FROM program_enrollments_programenrollment JOIN auth_user ON auth_user.id = user_id"
        " WHERE username = external_user_key"
    ) == [[len(SPECIAL)]]


@given(
    CELLS,
    st.sampled_from(",;\t"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([[], [COLUMNS]]),
)
@example([("a;b", "alice")], ",", "utf-8", csv.QUOTE_MINIMAL, [])
@example([("\ufeff", '\ufeff"')], ",", "utf-8", csv.QUOTE_MINIMAL, [COLUMNS])
def test_a_file_is_read_literally_or_refused(
    lines: list[tuple[str, str]], delimiter: str, encoding: str, quoting: Literal[0, 1], header: list[tuple[str, str]]
) -> None:
    """What another program writes as CSV comes back as it was, but for blanks around it, or is refused."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
    writer.writerows([*header, *lines])
    try:
        pairs = read_roster(file.getvalue().encode(encoding)).pairs
    except InvalidFile:
        return
    assert list(pairs.items()) == [
        (trimmed(key), trimmed(name)) for key, name in lines if trimmed(key) or trimmed(name)
    ]


@given(st.binary(max_size=40) | st.text(',;\t"\n\r\ufeff sepext=_a', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes make anything but pairs or faults."""
    with suppress(InvalidFile):
        assert read_roster(data).pairs


@given(st.lists(st.tuples(TEXT, TEXT.filter(lambda name: ":" not in name)), max_size=6))
def test_items_are_read_literally_or_refused(lines: list[tuple[str, str]]) -> None:
    """An item is its key and its username, but for blanks around them, or all are refused."""
    try:
        pairs = read_items([f"{key}:{name}" for key, name in lines])
    except InvalidFile:
        return
    assert list(pairs.items()) == [(trimmed(key), trimmed(name)) for key, name in lines]
