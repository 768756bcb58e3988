"""Files: the page reads what the core reads, refuses what it refuses, and in the same words."""

import base64
import random
from collections.abc import Sequence

import pytest
from playwright.sync_api import Page

from program_enrollments.csv_files import COLUMN_WORDS
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
# Reads each file with the page's own module, as pairs in their order or as faults.
READ = """
async ([files, ignoreCase, module]) => {
  const { readRoster } = await import(module);
  return files.map((file) => {
    try {
      const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
      return readRoster(bytes, { ignoreCase }).lines.map(({ key, username }) => [key, username]);
    } catch (error) {
      return error.faults ?? String(error);
    }
  });
}
"""


def read_on_page(page: Page, files: Sequence[bytes], *, ignore_case: bool) -> list[object]:
    """What the page makes of files."""
    module = page.locator("script[type=module]").evaluate("script => script.src").replace("main.js", "roster-file.js")
    return list(page.evaluate(READ, [[base64.b64encode(file).decode() for file in files], ignore_case, module]))


def read_by_core(data: bytes, *, ignore_case: bool) -> object:
    """What the core makes of a file."""
    try:
        return [list(pair) for pair in read_roster(data, ignore_case=ignore_case).pairs.items()]
    except InvalidFile as error:
        return str(error).split("\n")


@pytest.mark.parametrize("ignore_case", [False, True])
def test_known_kinds_of_files(page: Page, ignore_case: bool) -> None:  # noqa: FBT001 - a parameter
    """Each way in which people write such files is read the same, or refused in the same words."""
    for data, read in zip(BYTES, read_on_page(page, BYTES, ignore_case=ignore_case), strict=True):
        assert read == read_by_core(data, ignore_case=ignore_case), data


def test_files_of_any_kind(page: Page) -> None:
    """Five thousand files out of the pieces that matter are read the same."""
    chance = random.Random(16)  # noqa: S311 - not for secrets
    files = ["".join(chance.choices(PIECES, k=chance.randrange(1, 25))).encode() for _ in range(5_000)]
    for data, read in zip(files, read_on_page(page, files, ignore_case=False), strict=True):
        assert read == read_by_core(data, ignore_case=False), data


def test_the_same_words_are_columns(page: Page) -> None:
    """What is taken for a column's name is the same list of words in both languages."""
    module = page.locator("script[type=module]").evaluate("script => script.src").replace("main.js", "table-file.js")
    words = page.evaluate("async (module) => (await import(module)).COLUMN_WORDS", module)
    assert words == COLUMN_WORDS.split()
