"""Files: the page reads what the core reads, refuses what it refuses, and in the same words."""

import base64
import random
from collections.abc import Sequence

import pytest
from playwright.sync_api import Page

from link_function.page import _version
from local.lms import CURRICULUM
from program_enrollments.csv_files import COLUMN_WORDS
from program_enrollments.enrollment_files import read_course_rows, read_program_rows
from program_enrollments.errors import InvalidFile
from program_enrollments.rosters import read_roster

pytestmark = pytest.mark.browser

HEADER = "external_user_key,lms_username"
TEXTS = [
    "k,u",
    f"{HEADER}\nk,u\n",
    f"{HEADER}\n",
    "",
    "\n\n",
    "\ufeff",
    f"\ufeff{HEADER}\nk,u\n",
    f"\ufeff\ufeff{HEADER}\n\ufeffk,u\n",
    "k\ufeff,u\n",
    '\ufeff"k","u"\n\ufeff"k2","u2"',
    '\u200b"k",u',
    '\xa0"k",u',
    "k,u\r\nl,v\r\n",
    "k,u\rl,v\r",
    "k,u\n\rl,v",
    " k ,\tu \nl\xa0, v\n",
    '"k","u"\nl, "v"\n',
    "\n\nk,u\n   \n,,\nl,v\n\n",
    "k,u,Alice,1\nl,v,,\n",
    "name,LMS_Username, external_user_key ,code\nAlice,u,k,\nBob,v,l\n",
    "LMS Username,External User Key\nasmith,jdoe\n",
    "External User Key,LMS Username\nk,u\n",
    "student_key,username\nk,u\n",
    "Student-Key;LMS user\nk;u\n",
    "external_user_key,login\nk,u\n",
    "Student ID,Login\nk,u\n",
    "Matrikelnummer;Benutzername\nk;u",
    "username,lms_username,student_key\na,b,c",
    f"{HEADER}\nk,u\n{HEADER}\n",
    "k;u\nl;v\n",
    "k\tu\nl\tv\n",
    "k;1,u\n",
    "k;1,u\tv\n",
    '"k;1",u\n',
    '"k,1";u\n',
    "External User Key;LMS Username, if any;LMS Username\nk;x;u\n",
    "sep=;\nk;u\n",
    'sep=,\r\n"k;1",u\r\n',
    "SEP=\t\nk\tu",
    '"sep=;"\nk;u\n',
    "sep=|\nk|u\n",
    "sep=;\n\n\nStudent Key;Username\nk;u\n",
    "k,u\nk,v\n",
    "k,u\nSmith,John,u\n",
    f"{HEADER}\nk,u,,\nSmith,John,u\n",
    f"{HEADER}\nk,u,,\n,,note\n",
    "k,u\n\nk,u\n",
    "k,u\nK,v\n",
    "stra\xdfe,u\nSTRASSE,v\n",
    '"k\n1",u\nl,\n',
    '"k\r\n1",u',
    'k,"u\nl,v\n',
    'k,"u"x\n',
    'k,"u" \n',
    'k,u"v\n',
    'k,"u""v"\n',
    '"k\n1"x,u',
    " ,u\n",
    "k,\n",
    "k\n",
    "name,lms_username,external_user_key\nAlice,alice\n",
    "k" * 256 + ",u",
    "k" * 255 + ",u",
    "\U0001f600" * 255 + ",u",
    "\U0001f600" * 256 + ",u",
    "k," + "u" * 151,
    "k\0,u\n",
    "k,\n" * 20,
    "k,\n" * 23,
    "=1+1,@u\n",
    '{"program_uuid": "x"}',
    "{k},u",
    "[k],u",
    '["a", "b"]',
    "<html><body>",
    "<?xml version='1.0'?>",
    "<k>,u",
    "%PDF-1.7",
    "\ufeffk\u3000,\x1cu\x85\n",
    "1002,u\n101,v\n9,w\n",
    "__proto__,u\nconstructor,toString\n",
]
BYTES = [
    *(text.encode() for text in TEXTS),
    f"\ufeff{HEADER}\nk\xe9,u\n".encode("utf-16-le"),
    f"\ufeff{HEADER}\nk\xe9\tu\n".encode("utf-16-be"),
    "\ufeffk\tu\r\n".encode("utf-16-le"),
    "\ufeffk,u\n".encode("utf-16-le")[:-1],
    b"\xff\xfe" + "\ud800,u".encode("utf-16-le", "surrogatepass"),
    "k,u\nl,v\n".encode("utf-16-le"),
    "\ufeffk,u\n".encode("utf-32"),
    f"{HEADER}\nk,u\r\nl\xe9,v\r\n".encode("latin-1"),
    b"\xef\xbb\xbf\n\xe9",
    b"k,u\rl\xff,v\r",
    b"k,\xed\xa0\x80\n",
    b"k,\xe2\x82",
    b"PK\x03\x04\x14\0\x06\0[Content_Types].xml",
    b"PK\x03\x04\x14\0\x06\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
    b"PK\x03\x04\x14\0\x06\0notes.txt",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0",
    b"\x1f\x8b\x08\0",
    b"\x89PNG\r\n",
]
PIECES = [
    "k",
    "u",
    "\xe9",
    "1",
    ",",
    ",",
    ";",
    "\t",
    '"',
    '""',
    " ",
    "\n",
    "\n",
    "\r\n",
    "\r",
    "\ufeff",
    "\xa0",
    HEADER + "\n",
    "username",
]
# Reads each file with a function of the page's own modules, as it is written at the end, or as faults.
READ = """
async ([files, module, name, options]) => {
  const read = (await import(module))[name];
  const seen = ({ key, username, row }) => row ?? [key, username];
  return files.map((file) => {
    try {
      return read(Uint8Array.from(atob(file), (character) => character.charCodeAt(0)), options).lines.map(seen);
    } catch (error) {
      return error.faults ?? String(error);
    }
  });
}
"""


@pytest.fixture
def modules(tab: Page, address: str) -> Page:
    """A document that may use the page's modules, and has nothing of its own."""
    tab.goto(f"{address}page/settings.json")
    return tab


def module(name: str) -> str:
    """The address of a module of the page."""
    return f"/page/{_version()}/{name}"


def read_on_page(modules: Page, files: Sequence[bytes], *, ignore_case: bool) -> list[object]:
    """What the page makes of rosters."""
    given = [base64.b64encode(file).decode() for file in files]
    options = {"ignoreCase": ignore_case}
    return list(modules.evaluate(READ, [given, module("roster-file.js"), "readRoster", options]))


def read_by_core(data: bytes, *, ignore_case: bool) -> object:
    """What the core makes of a roster."""
    try:
        return [list(pair) for pair in read_roster(data, ignore_case=ignore_case).pairs.items()]
    except InvalidFile as error:
        return str(error).split("\n")


@pytest.mark.parametrize("ignore_case", [False, True])
def test_known_kinds_of_files(modules: Page, ignore_case: bool) -> None:  # noqa: FBT001 - a parameter
    """Each way in which people write such files is read the same, or refused in the same words."""
    for data, read in zip(BYTES, read_on_page(modules, BYTES, ignore_case=ignore_case), strict=True):
        assert read == read_by_core(data, ignore_case=ignore_case), data


@pytest.mark.parametrize("count", [1_000, pytest.param(5_000, marks=pytest.mark.slow)])
def test_files_of_any_kind(modules: Page, count: int) -> None:
    """Files out of the pieces that matter are read the same."""
    chance = random.Random(16)  # noqa: S311 - not for secrets
    files = ["".join(chance.choices(PIECES, k=chance.randrange(1, 25))).encode() for _ in range(count)]
    for data, read in zip(files, read_on_page(modules, files, ignore_case=False), strict=True):
        assert read == read_by_core(data, ignore_case=False), data


def test_the_same_words_are_columns(modules: Page) -> None:
    """What is taken for a column's name is the same list of words in both languages."""
    words = modules.evaluate("async (module) => (await import(module)).COLUMN_WORDS", module("table-file.js"))
    assert words == COLUMN_WORDS.split()


# What a file of enrollments is about: a program that may get new ones, one that may not, or a course.
KINDS = {
    "new": {"isCourse": False, "isNew": True},
    "there": {"isCourse": False, "isNew": False},
    "course": {"isCourse": True, "isNew": True},
}
CURRICULA = [
    CURRICULUM,
    CURRICULUM.upper(),
    CURRICULUM.replace("-", ""),
    f"{{{CURRICULUM}}}",
    f"urn:uuid:{CURRICULUM}",
    CURRICULUM.replace("-", "_"),
    f"{CURRICULUM[:-1]}\u0661",
    CURRICULUM.replace("-", "", 2).replace("00", "0-0", 1),
    f"{CURRICULUM}-",
    CURRICULUM[:-1],
    "x",
    "it's",
]
ENROLLMENTS = [
    "",
    "k,enrolled\n",
    f"k,enrolled,{CURRICULUM}\n",
    "student_key,status\n",
    "student_key,status\nk,enrolled\n",
    f"Curriculum;External Key;STATUS\n{CURRICULUM};k;enrolled\n;l;ended\n",
    f"student_key,status,curriculum_uuid,code,message\nk,gone,{CURRICULUM},invalid-status,No such status\n",
    "student_key,external_user_key,status\nk,k,enrolled\n",
    "student_key,curriculum,curriculum_uuid,status\nk,,,enrolled\n",
    "student_key,state\nk,enrolled\n",
    "Student ID,Status now\nk,enrolled\n",
    "status,student_key\nenrolled,k\nended,K\n\nended,l\nended,l\n",
    "status,student_key\nended,\u0130\nended,i\u0307\nended,\u03a3\nended,\u03c3\nended,A\u03a3\nended,a\u03c2\n",
    f"k,\n,enrolled\n,\n{'k' * 256},enrolled\n\U0001f600{'k' * 254},enrolled\nk\0,enrolled\n",
    "k\n" * 23,
    f"k,{'s' * 100}\nl,{'s' * 101}\nm,s\0\n",
    "student_key,status\n__proto__,ended\nconstructor,toString\n",
    *(f"student_key,status,course_staff\nk,active,{staff}\n" for staff in ("TRUE", "False", "", "yes", "constructor")),
    "student_key,status,course_staff\nk,active,__proto__\n",
    *(f"student_key,status,curriculum_uuid,course_staff\nk,active,{curriculum},no\n" for curriculum in CURRICULA),
    *(f"student_key,status,curriculum_uuid\nk,active,{curriculum}\n" for curriculum in CURRICULA),
]
ENROLLMENT_PIECES = [
    *PIECES[:-2],
    CURRICULUM,
    "enrolled",
    "true",
    "student_key,status\n",
    "student_key,status,curriculum_uuid,course_staff\n",
    "student_key;curriculum;status\n",
]


def enrollments_on_page(modules: Page, files: Sequence[bytes], kind: str) -> list[object]:
    """What the page makes of files of enrollments."""
    given = [base64.b64encode(file).decode() for file in files]
    return list(modules.evaluate(READ, [given, module("enrollment-file.js"), "readEnrollments", KINDS[kind]]))


def enrollments_by_core(data: bytes, kind: str) -> object:
    """What the core makes of a file of enrollments, with what a row lacks left out as in a request."""
    try:
        file = read_course_rows(data) if kind == "course" else read_program_rows(data, is_needed=kind == "new")
    except InvalidFile as error:
        return str(error).split("\n")
    return [{name: value for name, value in row._asdict().items() if value is not None} for row in file.rows]


@pytest.mark.parametrize("kind", KINDS)
def test_known_kinds_of_enrollments(modules: Page, kind: str) -> None:
    """A file of enrollments is read the same, or refused in the same words; so is one of any other kind."""
    files = [text.encode() for text in ENROLLMENTS] + BYTES
    for data, read in zip(files, enrollments_on_page(modules, files, kind), strict=True):
        assert read == enrollments_by_core(data, kind), data


@pytest.mark.parametrize("count", [400, pytest.param(2_000, marks=pytest.mark.slow)])
def test_enrollments_of_any_kind(modules: Page, count: int) -> None:
    """Files of each kind, out of the pieces that matter, are read the same."""
    chance = random.Random(17)  # noqa: S311 - not for secrets
    for kind in KINDS:
        files = ["".join(chance.choices(ENROLLMENT_PIECES, k=chance.randrange(1, 25))).encode() for _ in range(count)]
        for data, read in zip(files, enrollments_on_page(modules, files, kind), strict=True):
            assert read == enrollments_by_core(data, kind), (kind, data)
