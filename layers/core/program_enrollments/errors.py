"""Every exception that the core raises, under one base class."""


class ProgramEnrollmentsError(Exception):
    """What the core raises, apart from `ValueError` for arguments that it cannot take."""


class LinkingUnavailable(ProgramEnrollmentsError):
    """The database is out of reach or out of time; nothing was changed unless the message says otherwise."""


class WrongPassword(LinkingUnavailable):
    """The server refused the user or the password."""


class DatabaseNotReady(ProgramEnrollmentsError):
    """The database lacks a table, a column or a privilege that the service needs; the message says what to do."""


class ConnectionLost(ProgramEnrollmentsError):
    """The connection went away before COMMIT was sent: nothing was changed."""


class Contention(ProgramEnrollmentsError):
    """A deadlock or a serialization failure rolled the transaction back: the same again may succeed."""


class Refused(ProgramEnrollmentsError):
    """The server refused a write because of the data: a constraint, a value, a trigger.

    The message is the server's own one line. `detail` has ids and belongs in the log only.
    """

    def __init__(self, message: str, sqlstate: str, constraint: str | None, detail: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.detail = detail


class InvalidFile(ProgramEnrollmentsError):
    """A file, or what stands for one, cannot be used as it is.

    `faults` are sentences, mostly with the number of a line; `others` is how many more there are.
    """

    def __init__(self, *faults: str, others: int = 0) -> None:
        more = [f"and {others:,} more faults"] if others else []
        super().__init__("\n".join([*faults, *more]))
        self.faults = faults
        self.others = others


class NonExistentCourse(ProgramEnrollmentsError):
    """A program-course enrollment names a course run that the LMS does not know."""


class NoIdentities(ProgramEnrollmentsError):
    """The LMS has no single sign-on: there is no table of the accounts that an identity provider knows."""
