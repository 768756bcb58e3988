"""Program enrollments of an Open edX LMS on PostgreSQL, and how they get their accounts."""

from program_enrollments.database import ConnectionLost, WrongPassword, connect
from program_enrollments.linking import check_database, link_program_enrollments
from program_enrollments.outcomes import Code, DatabaseNotReady, Failure, LinkingUnavailable, Outcome, Refused

__all__ = [
    "Code",
    "ConnectionLost",
    "DatabaseNotReady",
    "Failure",
    "LinkingUnavailable",
    "Outcome",
    "Refused",
    "WrongPassword",
    "check_database",
    "connect",
    "link_program_enrollments",
]
