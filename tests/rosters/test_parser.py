"""Bytes of files, as people, spreadsheets and other programs write them, become pairs or faults."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable

import pytest

from program_enrollments import InvalidFile
from program_enrollments.rosters import read_roster

PAIRS = {"student-001": "alice", "student-002": "bob"}
HEADER = "external_user_key,lms_username\n"
LINES = "student-001,alice\nstudent-002,bob\n"
KNOWN = (
    "these columns are not known; known are external_user_key or external_key or student_key or external_student_key,"
    " lms_username or username or lms_user"
)
NOT_UTF8 = "not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8, comma delimited)"
LINE_BREAK = "a value has a line break in it; look for a quote that is left open"
BOTH = "both values are needed: external_user_key,lms_username"


def faults(data: bytes, *, ignore_case: bool = False) -> tuple[str, ...]:
    """Why a file is refused."""
    with pytest.raises(InvalidFile) as refused:
        read_roster(data, ignore_case=ignore_case)
    return refused.value.faults


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LINES, id="no header"),
        pytest.param(HEADER + LINES, id="header"),
        pytest.param((HEADER + LINES).rstrip("\n"), id="no last line break"),
        pytest.param((HEADER + LINES).replace("\n", "\r\n"), id="CRLF"),
        pytest.param(LINES.replace("\n", "\r"), id="CR"),
        pytest.param(LINES.replace(",", ";"), id="semicolons"),
        pytest.param((HEADER + LINES).replace(",", "\t"), id="tabs"),
        pytest.param("sep=;\n" + (HEADER + LINES).replace(",", ";"), id="sep="),
        pytest.param('"SEP=;"\r\n' + LINES.replace(",", ";"), id="sep= in quotes, no header"),
        pytest.param("sep=\t\n" + LINES.replace(",", "\t"), id="sep= a tab"),
        pytest.param(
            "name;note,external_user_key,lms_username\n;a;b,student-001,alice\n,student-002,bob", id="a header says"
        ),
        pytest.param(" student-001 ,\talice \nstudent-002\xa0, bob\n", id="spaces around"),
        pytest.param('"student-001","alice"\nstudent-002, "bob"\n', id="quotes"),
        pytest.param("\n\n" + LINES.replace("\n", "\n   \n,,\n"), id="blank lines"),
        pytest.param("\n  \n" + HEADER + LINES, id="blank lines before the header"),
        pytest.param("student-001,alice,Alice,1\nstudent-002,bob,,\n", id="further columns"),
        pytest.param("name,username,student_key,code\nA,alice,student-001,\nB,bob,student-002\n", id="any order"),
        pytest.param("\ufeff" + HEADER + LINES, id="two byte order marks"),
        pytest.param('\ufeff\ufeff"student-001",alice\n\ufeff"student-002",\ufeffbob\ufeff', id="marks everywhere"),
        pytest.param("LMS Username,External User Key\nalice,student-001\nbob,student-002\n", id="spaces in the header"),
        pytest.param("ExternalStudentKey,LMS-User\n" + LINES, id="words joined"),
        pytest.param("EXTERNAL_KEY,UserName\n" + LINES, id="capitals"),
        pytest.param("external_user_key,lms_username,outcome,code,message\n" + LINES, id="a file of results"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_is_read(text: str, encoding: str) -> None:
    """However a file is laid out, it gives the same pairs in its order."""
    assert list(read_roster(text.encode(encoding)).pairs.items()) == list(PAIRS.items())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param(
            HEADER + "student-001,alice\nSmith,John,jsmith\n",
            "line 3: it has more values than line 1; a value that has a comma in it must be in quotes",
            id="a comma in a value",
        ),
        pytest.param(
            "student-001;alice\nSmith; John;jsmith\n",
            "line 2: it has more values than line 1; a value that has a semicolon in it must be in quotes",
            id="a semicolon in a value, no header",
        ),
        pytest.param(
            "student-001\talice\n\nstudent-002\tbob\t\t\tlater\n",
            "line 3: it has more values than line 1; a value that has a tab in it must be in quotes",
            id="tabs",
        ),
        pytest.param("\n \n,,\n", "the file is empty", id="blank"),
        pytest.param("sep=;\n", "the file is empty", id="sep= only"),
        pytest.param(HEADER, "the file has a header and no line after it", id="header only"),
        pytest.param("Student ID,Login\n" + LINES, f"line 1: {KNOWN}", id="another header"),
        pytest.param("\nid;email\n" + LINES, f"line 2: {KNOWN}", id="short words"),
        pytest.param("Matrikelnummer;Benutzername\n" + LINES, f"line 1: {KNOWN}", id="another language"),
        pytest.param("campusKey\tedX_user\n" + LINES, f"line 1: {KNOWN}", id="capitals inside"),
        pytest.param("Name,Student #,Login\n" + LINES, f"line 1: {KNOWN}", id="a sign in it"),
        pytest.param(
            "external_user_key,login\n" + LINES,
            "line 1: the header lacks lms_username or username or lms_user",
            id="half a header",
        ),
        pytest.param(
            "name,username\n" + LINES,
            "line 1: the header lacks external_user_key or external_key or student_key or external_student_key",
            id="the other half",
        ),
        pytest.param(
            "student_key,username,lms_username\nstudent-001,asmith,alice\n",
            "line 1: username and lms_username are the same column; leave one of them",
            id="two usernames",
        ),
        pytest.param(
            HEADER + LINES + HEADER + "student-003,carol\n",
            "line 4: a header again; join files without theirs",
            id="a second header",
        ),
        pytest.param(
            "a;b,alice\n",
            "line 1: it has commas and semicolons: say which of them separate values by a first line,"
            " external_user_key,lms_username or sep=,",
            id="two delimiters",
        ),
        pytest.param(
            "sep=:\nstudent-001:alice\n", "line 1: sep=: is not known: use a comma, a semicolon or a tab", id="sep=:"
        ),
        pytest.param("student-001,alice\nstudent-002\n", f"line 2: {BOTH}", id="one value"),
        pytest.param(" ,alice\n", f"line 1: {BOTH}", id="no key"),
        pytest.param("student-001|alice\n", f"line 1: {BOTH}", id="bars"),
        pytest.param(
            'student-001,"alice\nstudent-002,bob\nstudent-003,carol"\n', f"line 1: {LINE_BREAK}", id="a stray quote"
        ),
        pytest.param('a,alice,"1, High Street\nOxford"\n', f"line 1: {LINE_BREAK}", id="a stray quote elsewhere"),
        pytest.param('a,alice\n"b,bob\nc,carol\n', "line 2: a quote is opened and not closed", id="an open quote"),
        pytest.param(
            '"a"b,alice\n',
            "line 1: between a closing quote and comma there is more; a quote in a value is doubled",
            id="after a quote",
        ),
        pytest.param('a,\t"alice"\n', "line 1: a quote has something invisible before it", id="before a quote"),
        pytest.param("k" * 256 + ",alice\n", "line 1: external_user_key is longer than 255 characters", id="long key"),
        pytest.param("a," + "u" * 151, "line 1: lms_username is longer than 150 characters", id="long username"),
        pytest.param("a\0b,alice\n", "line 1: external_user_key has a NUL character", id="NUL"),
        pytest.param(
            "a,alice\n\na,bob\n", "line 3: external user key a provided multiple times, first in line 1", id="twice"
        ),
        pytest.param(
            "sep=,\n\n" + HEADER + "b,bob\na,alice\na,alice\n",
            "line 6: external user key a provided multiple times, first in line 5",
            id="twice the same",
        ),
    ],
)
def test_what_is_refused(text: str, fault: str) -> None:
    """A file that could be read in two ways, or has a line that cannot be linked, is refused with the line."""
    assert faults(text.encode()) == (fault,)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (HEADER.encode() + b"student-001,alice\r\nstudent-\xe9,bob\r\n", f"line 3: {NOT_UTF8}"),
        (b"a,alice\rb,b\xfcb\r", f"line 2: {NOT_UTF8}"),
        (b"\xef\xbb\xbf\n\xe9", f"line 2: {NOT_UTF8}"),
        (b"a,al\xed\xa0\x80ice\n", f"line 1: {NOT_UTF8}"),
        (LINES.encode("utf-16")[:-1], "the file is not whole: its UTF-16 breaks off, or holds half a character"),
        (
            "\ufeffa,b\ud800c\n".encode("utf-16-le", "surrogatepass"),
            "the file is not whole: its UTF-16 breaks off, or holds half a character",
        ),
    ],
)
def test_what_is_no_text(data: bytes, fault: str) -> None:
    """Bytes that are not in the file's encoding are refused."""
    assert faults(data) == (fault,)


def zipped(name: str) -> bytes:
    """An archive with one file in it, the same at any time: tests are named after it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "application/vnd.oasis.opendocument.spreadsheet")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (zipped("xl/workbook.xml"), "an Excel workbook"),
        (zipped("[Content_Types].xml"), "an Excel workbook"),
        (zipped("mimetype"), "an OpenDocument spreadsheet"),
        (zipped("roster.csv"), "a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, "an Excel workbook"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"{\\rtf1\\ansi", "a document in Rich Text Format"),
        (gzip.compress(LINES.encode(), mtime=0), "a gzip file"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
        (b"\xef\xbb\xbf\n <html lang=de>", "an HTML page"),
        (b"<table>\n<tr><td>a</td>", "an HTML page"),
        (b'<?xml version="1.0"?>', "XML"),
        (json.dumps(PAIRS).encode(), "JSON"),
        (json.dumps([["a", "alice"]] * 2_000, indent=2).encode(), "JSON"),
        (b'{"a": "alice"}\n{"b": "bob"}\n', "JSON"),
        (LINES.encode("utf-32"), "text in UTF-32"),
        (LINES.encode("utf-16-le"), "text in UTF-16 without a byte order mark"),
        (LINES.encode("utf-16-be"), "text in UTF-16 without a byte order mark"),
    ],
)
def test_other_files_are_refused_by_name(data: bytes, kind: str) -> None:
    """What is no table of text is refused with what it is, and what to do."""
    assert faults(data) == (f"this is {kind}: save it as CSV (in Excel: CSV UTF-8, comma delimited)",)


@pytest.mark.parametrize("read", [bytes, lambda data: b"sep=,\n" + data])
def test_twenty_faults_and_their_number(read: Callable[[bytes], bytes]) -> None:
    """The first twenty faults are worded, and the others counted."""
    with pytest.raises(InvalidFile) as refused:
        read_roster(read(b"a,alice\n" + b"a,alice\n" * 23))
    assert (len(refused.value.faults), refused.value.others) == (20, 3)
    assert str(refused.value).endswith("\nand 3 more faults")


def test_keys_that_differ_only_in_case() -> None:
    """With `ignore_case`, keys that differ only in case are one key; ß and SS are different letters."""
    assert faults(b"a,alice\nb,bob\nB,carol\n", ignore_case=True) == (
        "line 3: external user key B differs only in case from b in line 2",
    )
    assert len(read_roster("straße,alice\nSTRASSE,bob\n".encode(), ignore_case=True).pairs) == 2
    assert len(read_roster(b"b,bob\nB,carol\n").pairs) == 2


def test_how_a_file_is_written() -> None:
    """The layout says how to write another file that the same program opens."""
    layout = read_roster("Name;Student_Key;Username\nA;a;alice\n".encode("utf-16")).layout
    assert layout == (
        "utf-8-sig",
        ";",
        ("Name", "Student_Key", "Username"),
        {"external_user_key": 1, "lms_username": 2},
    )
    assert read_roster(b"a,alice\n").layout[:3] == ("utf-8", ",", None)


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with too many bytes or too many lines is refused."""
    monkeypatch.setattr("program_enrollments.csv_files.MOST_BYTES", 1_000_000)
    assert faults(b"a,alice\n" * 125_001) == ("the file is larger than 1 MB: split it",)
    monkeypatch.setattr("program_enrollments.rosters.MOST_LINES", 2)
    assert faults(b"a,alice\nb,bob\nc,carol\n") == ("there are more than 2 lines: split the file",)
