"""Rosters in CSV files, as people and spreadsheets write them."""

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.lms import Lms
from program_enrollments.csv_files import trimmed
from program_enrollments.rosters import read_roster
from program_linking.results import write_failed
from tests.command.support import Ended, Link

HEADER = b"external_user_key,lms_username\n"


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    """A file to write a roster to."""
    return tmp_path / "roster.csv"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"student-001,alice\nstudent-002,bob\n", id="no header"),
        pytest.param(HEADER + b"student-001,alice\nstudent-002,bob", id="header, and no last line break"),
        pytest.param(b"\xef\xbb\xbf" + HEADER + b"student-001,alice\nstudent-002,bob\n", id="Excel's BOM"),
        pytest.param(b"\xef\xbb\xbfstudent-001,alice\nstudent-002,bob\n", id="BOM, no header"),
        pytest.param(b"student-001,alice\r\nstudent-002,bob\r\n", id="CRLF"),
        pytest.param(b"student-001,alice\rstudent-002,bob\r", id="CR"),
        pytest.param(b" student-001 ,\talice \nstudent-002\xc2\xa0, bob\n", id="spaces around"),
        pytest.param(b'"student-001","alice"\nstudent-002, "bob"\n', id="quotes"),
        pytest.param(b"\n\nstudent-001,alice\n   \n,,\nstudent-002,bob\n\n", id="blank lines"),
        pytest.param(b"\n" + HEADER + b"\nstudent-001,alice\nstudent-002,bob\n", id="blank line before the header"),
        pytest.param(b"student-001,alice,Alice,1\nstudent-002,bob,,\n", id="extra columns"),
        pytest.param(
            b"name,LMS_Username, external_user_key ,code\nAlice,alice,student-001,\nBob,bob,student-002\n",
            id="columns by name",
        ),
    ],
)
def test_a_file_is_read(lms: Lms, link: Link, roster: Path, content: bytes) -> None:
    """A roster is linked however its file is laid out."""
    users = [lms.user("alice"), lms.user("bob")]
    lms.enrollment("student-001")
    lms.enrollment("student-002")
    roster.write_bytes(content)
    assert link("--csv", str(roster)).out.endswith("2 of 2 keys: 2 linked, 0 linked already, 0 failed.\n")
    assert lms.rows("program_enrollments_programenrollment", "external_user_key, user_id") == [
        ["student-001", users[0]],
        ["student-002", users[1]],
    ]


def test_keys_are_used_as_they_are(lms: Lms, link: Link, roster: Path) -> None:
    """Commas, quotes and letters of any script belong to a key."""
    lms.user("alice")
    lms.enrollment('Müller, "Zoë" 学生')
    roster.write_text('"Müller, ""Zoë"" 学生",alice\n', encoding="utf-8")
    assert link("--csv", str(roster)) == Ended(
        status=0,
        out="external_user_key   lms_username  outcome  message\n"
        'Müller, "Zoë" 学生  alice         linked\n'
        "1 of 1 keys: 1 linked, 0 linked already, 0 failed.\n",
        err="",
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (HEADER, "the file has a header and no line after it"),
    ],
)
def test_an_empty_file(link: Link, roster: Path, content: bytes, fault: str) -> None:
    """A file that names no key is refused: what made it is broken."""
    roster.write_bytes(content)
    assert link("--csv", str(roster)) == (2, "", f"Nothing was sent.\n{fault}\n")


def test_standard_input(lms: Lms, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--csv -` reads standard input."""
    lms.user("alice")
    lms.enrollment("student-001")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(HEADER + b"student-001,alice\n")))
    assert link("--csv", "-").status == 0


def refusal(ended: Ended) -> str:
    """Why a command sent nothing."""
    assert (ended.status, ended.out) == (2, "")
    return ended.err.removeprefix("Nothing was sent.\n")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(
            HEADER + b"student-001,alice\n\nstudent-001,bob\n",
            "line 4: external user key student-001 provided multiple times, first in line 2",
            id="repeated",
        ),
        pytest.param(
            b"student-001,alice\nstudent-001,alice\n",
            "line 2: external user key student-001 provided multiple times, first in line 1",
            id="repeated, even with the same username",
        ),
        pytest.param(
            b'"student\n001",alice\nstudent-002,\n',
            "line 1: a value has a line break in it; look for a quote that is left open",
            id="a key of two lines",
        ),
        pytest.param(b" ,alice\n", "line 1: both values are needed: external_user_key,lms_username", id="no key"),
        pytest.param(
            b"name,lms_username,external_user_key\nAlice,alice\n",
            "line 2: both values are needed: external_user_key,lms_username",
            id="short line",
        ),
        pytest.param(
            b"external_user_key,login\nstudent-001,alice\n",
            "line 1: the header lacks lms_username or username or lms_user",
            id="half a header",
        ),
        pytest.param(
            HEADER + b'student-001,alice\n"student-002,bob\nstudent-003,carol\n',
            "line 3: a quote is opened and not closed",
            id="open quote",
        ),
        pytest.param(
            HEADER + b"student-001,alice\r\nstudent-\xe9,bob\r\n",
            "line 3: not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8, comma delimited)",
            id="Latin-1",
        ),
        pytest.param(
            b"\xef\xbb\xbf\n\xe9",
            "line 2: not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8, comma delimited)",
            id="Latin-1 after a BOM",
        ),
        pytest.param(
            b"k" * 256 + b",alice\n", "line 1: external_user_key is longer than 255 characters", id="long key"
        ),
        pytest.param(
            b"student-001," + b"u" * 151, "line 1: lms_username is longer than 150 characters", id="long username"
        ),
        pytest.param(b"student\x00001,alice\n", "line 1: external_user_key has a NUL character", id="NUL"),
    ],
)
def test_a_file_is_refused(link: Link, roster: Path, content: bytes, fault: str) -> None:
    """A file that cannot be sent as it is is refused whole, with the line and the fault."""
    roster.write_bytes(content)
    assert refusal(link("--csv", str(roster))) == f"{fault}\n"


@pytest.mark.parametrize(("faults", "more"), [(20, []), (23, ["and 3 more faults"])])
def test_all_faults_are_told(link: Link, roster: Path, faults: int, more: list[str]) -> None:
    """The faults of a file are reported together, up to twenty, and how many more there are."""
    roster.write_text("student-001,\n" * faults, encoding="utf-8")
    assert refusal(link("--csv", str(roster))).splitlines() == [
        *(f"line {number}: both values are needed: external_user_key,lms_username" for number in range(1, 21)),
        *more,
    ]


def test_keys_that_differ_in_case_alone(link: Link, roster: Path) -> None:
    """With --ignore-case, keys of a file that differ only in case are refused with both line numbers."""
    roster.write_text("student-001,alice\nSTUDENT-001,bob\n", encoding="utf-8")
    assert (
        refusal(link("--csv", str(roster), "--ignore-case"))
        == "line 2: external user key STUDENT-001 differs only in case from student-001 in line 1\n"
    )


def test_a_missing_file_is_refused(link: Link, roster: Path) -> None:
    """A file that cannot be read is refused with the reason."""
    assert refusal(link("--csv", str(roster))) == f"{roster} cannot be read: No such file or directory.\n"


def test_errors_file_round_trip(lms: Lms, link: Link, roster: Path, tmp_path: Path) -> None:
    """The errors file holds the failed lines with code and message, and goes back in as it is once it is corrected."""
    lms.user("alice")
    lms.user("bob")
    lms.enrollment("student-001")
    lms.enrollment("student, 002")
    errors = tmp_path / "errors.csv"
    roster.write_bytes(HEADER + b'student-001,alice\n"student, 002",bbo\nstudent-003,nobody\n')
    ended = link("--csv", str(roster), "--errors", str(errors))
    assert ended.status == 1
    assert ended.out.endswith(f"Correct what failed and send it again: --csv {errors}\n")
    assert errors.read_text(encoding="utf-8") == (
        "external_user_key,lms_username,code,message\n"
        '"student, 002",bbo,user-not-found,No user found with username bbo\n'
        "student-003,nobody,user-not-found,No user found with username nobody\n"
    )
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(errors.read_text(encoding="utf-8").replace("bbo,", "bob,", 1), encoding="utf-8")
    ended = link("--csv", str(corrected), "--errors", str(errors))
    assert ended.out.splitlines()[-2] == "2 of 2 keys: 1 linked, 0 linked already, 1 failed (1 user-not-found)."
    assert errors.read_text(encoding="utf-8") == (
        "external_user_key,lms_username,code,message\n"
        "student-003,nobody,user-not-found,No user found with username nobody\n"
    )


def test_errors_file_without_failures(lms: Lms, link: Link, tmp_path: Path) -> None:
    """Where no key failed, the errors file holds nothing but its header, whatever it held before."""
    lms.user("alice")
    lms.enrollment("student-001")
    errors = tmp_path / "errors.csv"
    errors.write_text("student-009,nobody,user-not-found,of yesterday\n", encoding="utf-8")
    assert link("student-001:alice", "--errors", str(errors)).status == 0
    assert errors.read_text(encoding="utf-8") == "external_user_key,lms_username,code,message\n"


def test_errors_file_for_excel(lms: Lms, link: Link, roster: Path, tmp_path: Path) -> None:
    """The errors of a file with Excel's BOM have it too, so that Excel reads their letters right."""
    errors = tmp_path / "errors.csv"
    roster.write_bytes("\ufeffétudiant,zoë\n".encode())
    link("--csv", str(roster), "--errors", str(errors))
    assert (
        errors.read_bytes()
        == (
            "\ufeffexternal_user_key,lms_username,code,message\n"
            "étudiant,zoë,user-not-found,No user found with username zoë\n"
        ).encode()
    )


def test_errors_file_that_cannot_be_written(lms: Lms, link: Link, tmp_path: Path) -> None:
    """An errors file that cannot be written is refused before anything is sent."""
    lms.user("alice")
    lms.enrollment("student-001")
    assert refusal(link("student-001:alice", "--errors", str(tmp_path))) == (
        f"{tmp_path} cannot be written: Is a directory.\n"
    )
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[None]]


def test_errors_file_over_the_roster(link: Link, roster: Path) -> None:
    """An errors file that is the roster itself, under whatever name, is refused."""
    roster.write_bytes(b"student-001,alice\n")
    ended = link("--csv", str(roster), "--errors", str(roster.parent / "." / roster.name))
    assert ended.status == 2
    assert ended.err.endswith("--errors would overwrite the file that --csv reads.\n")
    assert roster.read_bytes() == b"student-001,alice\n"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=20)
VALUE = TEXT.map(trimmed).filter(bool)


@given(st.dictionaries(VALUE, VALUE, min_size=1))
def test_whatever_failed_can_be_sent_again(failed: dict[str, str]) -> None:
    """Whatever keys and usernames hold, they come back out of an errors file as they went in."""
    file = io.StringIO()
    write_failed(file, failed, dict.fromkeys(failed, ("integrity-error", 'IntegrityError: "a", b')))
    assert read_roster(file.getvalue().encode()).pairs == failed
