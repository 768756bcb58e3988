"""The core, called as a library."""

import re
from typing import Any
from uuid import UUID

import pytest
from pg8000.native import Connection

from local.lms import PROGRAM, Lms
from program_enrollments import Code, link_program_enrollments


def test_no_options(lms: Lms, other_session: Connection) -> None:
    """Without options, keys are linked for good, exactly as they are spelt, and nobody loses an enrollment."""
    alice, bob = lms.user("alice"), lms.user("bob")
    lms.enrollment("student-001")
    lms.enrollment("student-002", user_id=bob)
    lms.enrollment("student-003")
    outcome = link_program_enrollments(
        other_session, PROGRAM, {"student-001": "alice", "student-002": "alice", "STUDENT-003": "alice"}
    )
    assert {key: failure.code for key, failure in outcome.failures.items()} == {
        "student-002": Code.CONFLICT,
        "STUDENT-003": Code.NOT_IN_PROGRAM,
    }
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[alice], [bob], [None]]


def test_no_username(lms: Lms, other_session: Connection) -> None:
    """A key without a username is the caller's mistake, and nothing is linked."""
    lms.user("alice")
    lms.enrollment("student-001")
    message = "^external_keys_to_usernames holds None: each external user key needs a username$"
    with pytest.raises(ValueError, match=message):
        link_program_enrollments(other_session, PROGRAM, {"student-001": "alice", "student-002": None})  # type: ignore[dict-item]
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[None]]


LONGEST = "k" * 255


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"program_uuid": "no uuid"}, "program_uuid 'no uuid' is not a UUID"),
        ({"program_uuid": None}, "program_uuid None is not a UUID"),
        ({"program_uuid": 7}, "program_uuid 7 is not a UUID"),
        ({"curriculum_uuid": ""}, "curriculum_uuid '' is not a UUID"),
        ({"pairs": {"": "alice"}}, "the external user key '' is empty"),
        ({"pairs": {"k": ""}}, "the username '' is empty"),
        ({"pairs": {LONGEST + "k": "alice"}}, f"the external user key '{LONGEST}k' is longer than 255 characters"),
        ({"pairs": {"k": "u" * 151}}, f"the username '{'u' * 151}' is longer than 150 characters"),
        ({"pairs": {"a\0b": "alice"}}, r"the external user key 'a\x00b' has a NUL character"),
        ({"pairs": {"k": "a\0"}}, r"the username 'a\x00' has a NUL character"),
        (
            {"pairs": {"\ud800": "alice"}},
            r"the external user key '\ud800' has a lone surrogate, which is not a character",
        ),
        ({"pairs": {"k": "\udfff"}}, r"the username '\udfff' has a lone surrogate, which is not a character"),
        ({"pairs": {7: "alice"}}, "the external user key 7 is not a string"),
        ({"pairs": {"k": 7}}, "the username 7 is not a string"),
        ({"pairs": {None: "alice"}}, "the external user key None is not a string"),
        ({"pairs": [("k", "alice")]}, "external_keys_to_usernames is not a mapping"),
        ({"pairs": None}, "external_keys_to_usernames is not a mapping"),
        ({"relink": "false"}, "relink 'false' is neither True nor False"),
        ({"dry_run": 0}, "dry_run 0 is neither True nor False"),
        ({"ignore_case": None}, "ignore_case None is neither True nor False"),
        (
            {"pairs": dict.fromkeys(map(str, range(10_001)), "alice")},
            "10,001 external user keys are more than 10,000",
        ),
        (
            {"pairs": {"k": "alice", "K": "bob"}, "ignore_case": True},
            "the external user keys 'k' and 'K' differ only in case",
        ),
    ],
)
def test_refused_arguments(lms: Lms, other_session: Connection, arguments: dict[str, Any], message: str) -> None:
    """What the core cannot take as given is refused with a sentence that names it, and nothing is linked."""
    lms.user("alice")
    lms.enrollment("k")
    options = {"program_uuid": PROGRAM, "pairs": {"k": "alice"}, **arguments}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        link_program_enrollments(other_session, options.pop("program_uuid"), options.pop("pairs"), **options)
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[None]]
    assert other_session.run("SELECT 1") == [[1]]


@pytest.mark.parametrize("spelt", [UUID(PROGRAM), PROGRAM.upper(), PROGRAM.replace("-", ""), f"{{{PROGRAM}}}"])
def test_spellings_of_a_uuid(lms: Lms, other_session: Connection, spelt: UUID | str) -> None:
    """A program is named by its UUID, however that is spelt; messages spell it the usual way."""
    lms.user("alice")
    lms.enrollment("k")
    outcome = link_program_enrollments(other_session, spelt, {"k": "alice", "unknown": "alice"})
    assert (outcome.linked, outcome.errors) == (
        1,
        {"unknown": f"No program enrollment found for program uuid={PROGRAM} and external student key=unknown"},
    )


def test_longest_strings(lms: Lms, other_session: Connection) -> None:
    """The longest key and the longest username that the columns take are taken."""
    lms.user("ü" * 150)
    lms.enrollment("é" * 255)
    assert link_program_enrollments(other_session, PROGRAM, {"é" * 255: "ü" * 150}).linked == 1


def test_keys_that_differ_in_case_are_two_keys(lms: Lms, other_session: Connection) -> None:
    """Without `ignore_case`, two keys that differ only in case are two keys."""
    lms.user("alice")
    lms.user("bob")
    lms.enrollment("k")
    lms.enrollment("K")
    assert link_program_enrollments(other_session, PROGRAM, {"k": "alice", "K": "bob"}).linked == 2
