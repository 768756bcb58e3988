"""What becomes of a batch and of each of its keys: codes and messages."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from program_enrollments.errors import Refused
from program_enrollments.masters_track import KeptEnrollment


class Code(StrEnum):
    """Why a key was not linked, in a form that a program can act on."""

    USER_NOT_FOUND = "user-not-found"
    NOT_IN_PROGRAM = "not-in-program"
    ALREADY_LINKED = "already-linked"
    CONFLICT = "conflict"
    COURSE_NOT_FOUND = "course-not-found"
    INTEGRITY_ERROR = "integrity-error"
    AMBIGUOUS_KEY = "ambiguous-key"


class Failure(NamedTuple):
    """Why one key was not linked; `refusal` is there if the server refused a write and the key was rolled back."""

    code: Code
    message: str
    refusal: Refused | None = None


class UnfulfilledRole(NamedTuple):
    """A pending course role that could not be granted: its link stands and the assignment stays."""

    assignment_id: int
    refusal: Refused


class Outcome(NamedTuple):
    """What became of a batch: how many keys were linked, and why each of the others was not, in request order."""

    linked: int = 0
    failures: Mapping[str, Failure] = MappingProxyType({})
    kept_enrollments: Sequence[KeptEnrollment] = ()
    unfulfilled_roles: Sequence[UnfulfilledRole] = ()

    @property
    def errors(self) -> dict[str, str]:
        """Map each failed key to its message, as Open edX's function of the same name answers."""
        return {key: failure.message for key, failure in self.failures.items()}


def user_not_found(username: str) -> Failure:
    """No LMS account has the username."""
    return Failure(Code.USER_NOT_FOUND, f"No user found with username {username}")


def not_in_program(program_uuid: object, key: str) -> Failure:
    """The key has no enrollment in the program (or in the curriculum asked for)."""
    return Failure(
        Code.NOT_IN_PROGRAM,
        f"No program enrollment found for program uuid={program_uuid} and external student key={key}",
    )


def already_linked(key: str, username: str) -> Failure:
    """Every enrollment of the key is linked to the account asked for."""
    return Failure(
        Code.ALREADY_LINKED,
        f"Program enrollment with external_student_key={key} is already linked to target account username={username}",
    )


def conflict(key: str, holder: str) -> Failure:
    """An enrollment of the key is linked to another account."""
    return Failure(
        Code.CONFLICT,
        f"Program enrollment with external_student_key={key} is already linked to"
        f" a different account username={holder}",
    )


def ambiguous_key(key: str, matches: Sequence[str]) -> Failure:
    """The key matches several keys of the program that differ only in case, and none of them exactly."""
    return Failure(
        Code.AMBIGUOUS_KEY,
        f"External student key={key} matches several keys that differ only in case: {', '.join(matches)};"
        " send the one that is meant, exactly",
    )


def course_not_found(course_key: str) -> Failure:
    """A course run that the key waits for is not in the LMS's course overviews."""
    return Failure(Code.COURSE_NOT_FOUND, f"NonExistentCourseError: {course_key}")


def integrity_error(refusal: Refused) -> Failure:
    """The server refused the key's writes."""
    return Failure(Code.INTEGRITY_ERROR, f"IntegrityError: {refusal}", refusal)
