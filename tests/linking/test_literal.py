"""Section 1: keys and usernames are used exactly as sent, whatever they mean to PostgreSQL, a driver or a shell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.lms import PROGRAM, Lms
from tests.support import Invoke, Post

SPECIAL = [
    "null", "Null", "NULL", "nULL", '"NULL"', "'null'", "none", "nan", "true", "default",
    "{}", "{a,b}", "{{}}", "{", "}", "[]", "[1:2]={1,2}", "(a,b)", "a,b", "a;b", ",", '""', "''", '"', "'", "`",
    "\\", "\\N", "\\.", "\\\\", "\\x41", "\\u0041", "\\n", "\n", "\t", "\r\n", "a\nb", "\x01", "\x7f",
    " ", " a", "a ", "a", "\u00a0a", "a\u00a0", "\u200ba", "a\u200b", "\u2060a", "\ufeffa", "a\ufeffb", "\u2028",
    "é", "e\u0301", "\ufb01", "fi", "Å", "\u212b", "ß", "SS", "\u017f", "s", "İ", "i", "\u0131", "I", "\U0001f600",
    "\U0010ffff", "\ue000", "007", "7", "7.0", "1e5", "100000", "1E+05", "0x10", "1_000", "-0", "\uff11",
    "2026-01-01", "01.01.2026", "=1+1", "@a", "%", "%s", "_", "a%", ":a", "::text", "$1", "$$", "--", "/*", "E'a'",
    "U&'a'", "?", "{0}", "current_user", "\u202ea",
]  # fmt: skip
tricky = st.text(
    st.sampled_from("nulNUL{}[](),;\\\"'` \t\n\u00a0\u200b\ufeff\u0301eE0:%$-/ßſİıΣσς"), min_size=1, max_size=6
)


def add(lms: Lms, names: "set[str] | list[str]") -> None:
    """Add for each name an account and a waiting enrollment of that name."""
    lms.run("TRUNCATE auth_user, program_enrollments_programenrollment CASCADE")
    for name in names:
        lms.user(name)
        lms.enrollment(name)


def links(lms: Lms) -> dict[str, str]:
    """Who holds which key."""
    return dict(
        lms.run("""
            SELECT external_user_key, username FROM program_enrollments_programenrollment
            JOIN auth_user ON auth_user.id = user_id
        """)
    )


def test_special_spellings(lms: Lms, post: Post) -> None:
    """Each of many spellings that something on the way could change is linked to the very account that is meant."""
    add(lms, SPECIAL)
    meant = dict(zip(SPECIAL, [*SPECIAL[1:], SPECIAL[0]], strict=True))
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": meant})
    assert (status, answer["errors"]) == (200, {})
    assert links(lms) == meant


@pytest.mark.parametrize("missing", ["null", "NULL", "{}", "\\N", "a\u00a0", "e\u0301", "\ufeffa", "7"])
def test_no_other_spelling_stands_in(lms: Lms, invoke: Invoke, missing: str) -> None:
    """A key or a username that is not there fails, whatever looks like it is."""
    add(lms, [name for name in SPECIAL if name != missing])
    answer = invoke({missing: "a"})
    assert answer["errors"] == {
        missing: f"No program enrollment found for program uuid={PROGRAM} and external student key={missing}"
    }
    assert invoke({"a": missing})["errors"] == {"a": f"No user found with username {missing}"}
    assert links(lms) == {}


@given(stored=st.sets(tricky, min_size=1, max_size=8), sent=st.sets(tricky, max_size=8), data=st.data())
def test_only_equal_strings_match(
    lms: Lms, invoke: Invoke, stored: set[str], sent: set[str], data: st.DataObject
) -> None:
    """A key is linked if and only if it and its username are there, letter by letter."""
    add(lms, stored)
    names = sorted(stored | sent)
    usernames = data.draw(st.permutations(names))
    answer = invoke(dict(zip(names, usernames, strict=True)))
    expected = {key: username for key, username in zip(names, usernames, strict=True) if {key, username} <= stored}
    assert links(lms) == expected
    assert answer["linked"] == len(expected)


@given(stored=st.sets(tricky, min_size=1, max_size=8), sent=tricky)
def test_ignoring_case_ignores_nothing_else(lms: Lms, invoke: Invoke, stored: set[str], sent: str) -> None:
    """With `ignore_case`, a key meets those that are equal in lower case, and no other."""
    add(lms, stored)
    alike = [name for name in stored if name.lower() == sent.lower()]
    answer = invoke({sent: min(stored)}, ignore_case=True)
    met = sent if sent in alike else alike[0] if len(alike) == 1 else None
    assert list(links(lms)) == ([met] if met else [])
    assert answer["error_codes"].get(sent) == (None if met else "ambiguous-key" if alike else "not-in-program")
