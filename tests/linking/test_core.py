"""The core, called as a library."""

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
