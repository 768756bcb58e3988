"""Program enrollments of an Open edX LMS on PostgreSQL, and how they get their accounts."""

from importlib import import_module
from typing import TYPE_CHECKING

from program_enrollments.errors import (
    ConnectionLost,
    DatabaseNotReady,
    InvalidFile,
    LinkingUnavailable,
    NoIdentities,
    NonExistentCourse,
    ProgramEnrollmentsError,
    Refused,
    WrongPassword,
)
from program_enrollments.linking.outcomes import Code, Failure, Outcome
from program_enrollments.linking.verb import check_database, link_program_enrollments
from program_enrollments.postgres.connect import connect

if TYPE_CHECKING:
    from program_enrollments.enrolling.verbs import (
        get_users_by_external_keys,
        write_program_course_enrollments,
        write_program_enrollments,
    )
    from program_enrollments.reading.verbs import NoSuchLearner, read_enrollments, read_learner, read_programs

__version__ = "1.0.0"

__all__ = [
    "Code",
    "ConnectionLost",
    "DatabaseNotReady",
    "Failure",
    "InvalidFile",
    "LinkingUnavailable",
    "NoIdentities",
    "NoSuchLearner",
    "NonExistentCourse",
    "Outcome",
    "ProgramEnrollmentsError",
    "Refused",
    "WrongPassword",
    "__version__",
    "check_database",
    "connect",
    "get_users_by_external_keys",
    "link_program_enrollments",
    "read_enrollments",
    "read_learner",
    "read_programs",
    "write_program_course_enrollments",
    "write_program_enrollments",
]

# Imported when they are first asked for: a cold start that links does not pay for the other verbs.
_LATER = {
    "program_enrollments.enrolling.verbs": {
        "get_users_by_external_keys",
        "write_program_course_enrollments",
        "write_program_enrollments",
    },
    "program_enrollments.reading.verbs": {"NoSuchLearner", "read_enrollments", "read_learner", "read_programs"},
}


def __getattr__(name: str) -> object:
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
