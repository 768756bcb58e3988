"""Read programs, their enrollments, and all about one learner; each in a transaction that can write nothing."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast, get_args
from uuid import UUID

from program_enrollments.errors import Contention, LinkingUnavailable
from program_enrollments.limits import LONGEST_KEY, LONGEST_USERNAME, checked_text, checked_uuid
from program_enrollments.postgres.encodings import unstorable
from program_enrollments.postgres.session import Connection, Session
from program_enrollments.reading import queries
from program_enrollments.reading.answers import Enrollment, Learner, ListedEnrollment, Page, Program, Status
from program_enrollments.reading.findings import findings_of
from program_enrollments.reading.history import SHOWN_ROWS, changes

LONGEST_SECONDS = 60.0
USUAL_PAGE, LARGEST_PAGE = 100, 1_000
LOWEST_ID, HIGHEST_ID = 0, 2**63 - 1
# How many ids, for each row of a page, are looked through before all of the program.
NEAR = 20


class NoSuchLearner(LookupError):
    """No enrollment has the key, or no account the username; `similar_keys` of the program differ only in case."""

    def __init__(self, message: str, similar_keys: Sequence[str]) -> None:
        super().__init__(message)
        self.similar_keys = similar_keys


def read_programs(connection: Connection, *, seconds: float = LONGEST_SECONDS) -> list[Program]:
    """Read how many enrollments each program has, how many are linked and how many wait; in the order of the UUIDs.

    This verb and the others raise `LinkingUnavailable` if the database is out of time, `ConnectionLost` if the
    connection went away, and `DatabaseNotReady` if tables or privileges are missing.
    """
    with _reading(connection, seconds) as session:
        session.script("SET LOCAL enable_seqscan = on")
        return session.query(queries.PROGRAMS) or []


def read_enrollments(  # noqa: PLR0913 - the filters, by name
    connection: Connection,
    program_uuid: UUID | str,
    *,
    waiting: bool | None = None,
    status: Status | None = None,
    curriculum_uuid: UUID | str | None = None,
    after: int | None = None,
    before: int | None = None,
    page_size: int = USUAL_PAGE,
    seconds: float = LONGEST_SECONDS,
) -> Page:
    """Read one page of a program's enrollments, oldest first: those after an id, or the last ones before an id.

    `waiting`, `status` and `curriculum_uuid` are filters if they are not None; `page_size` is at most 1,000. Raise
    `ValueError` for what is malformed.
    """
    if not 1 <= page_size <= LARGEST_PAGE:
        raise ValueError(f"page_size={page_size} is not from 1 to {LARGEST_PAGE}")
    if after is not None and before is not None:
        raise ValueError("a page is either after an id or before one")
    if not all(LOWEST_ID <= place < HIGHEST_ID for place in (after or 0, before or 0)):
        raise ValueError("no id is negative or has more than 63 bits")
    if status not in {None, *get_args(Status)}:
        raise ValueError(f"status={status} is none that an enrollment has")
    question = {
        "program_uuid": checked_uuid("program_uuid", program_uuid),
        "curriculum_uuid": _uuid("curriculum_uuid", curriculum_uuid),
        "waiting": waiting,
        "status": status,
        "direction": 1 if before is None else -1,
        "rows": page_size + 1,
    }
    rows: list[tuple[int, ListedEnrollment]] = []
    with _reading(connection, seconds) as session:
        for statement, lowest, highest in _windows(page_size, after, before):
            rows = session.query(statement, **question, lowest_id=lowest, highest_id=highest) or []
            if len(rows) > page_size:
                break
    return _page(rows, page_size, after, before)


def read_learner(
    connection: Connection,
    *,
    external_user_key: str | None = None,
    username: str | None = None,
    program_uuid: UUID | str | None = None,
    seconds: float = LONGEST_SECONDS,
) -> Learner:
    """Read all about the enrollments of an external user key, or of the account with a username.

    `program_uuid` leaves out other programs. Raise `NoSuchLearner` if there is no such key or account, and `ValueError`
    unless exactly one of them is given, or if one is malformed.
    """
    if (external_user_key is None) == (username is None):
        raise ValueError("a learner has either an external_user_key or a username")
    program = _uuid("program_uuid", program_uuid)
    if username is None:
        checked_text("external_user_key", external_user_key, LONGEST_KEY)
    else:
        checked_text("username", username, LONGEST_USERNAME)
    with _reading(connection, seconds) as session:
        unheld = unstorable(session, [name for name in (external_user_key, username) if name])
        read = session.query(
            queries.LEARNER,
            external_user_key=None if external_user_key in unheld else external_user_key,
            username=None if username in unheld else username,
            program_uuid=program,
            history_rows=SHOWN_ROWS + 1,
        )
    held, similar = _keys_by(read["held"]), _keys_by(read["similar"])
    if not read["enrollments"] and not read["account"]:
        named = "No account has this username." if username else "No enrollment has this external user key."
        raise NoSuchLearner(named, next(iter(similar.values()), []))
    enrollments = [_enrollment(each, held, similar) for each in read["enrollments"]]
    return {
        "account": read["account"],
        "enrollments": enrollments,
        "findings": findings_of(read["account"], enrollments),
    }


@contextmanager
def _reading(connection: Connection, seconds: float) -> Iterator[Session]:
    """A transaction that can write nothing, and in which times are UTC."""
    session = Session(connection, time.monotonic() + seconds)
    try:
        with session.transaction(commit=False):
            session.script("SET TRANSACTION READ ONLY; SET LOCAL TimeZone = 'UTC'")
            yield session
    except Contention as error:
        # A standby cancels what stands in the way of its replay.
        raise LinkingUnavailable(f"The database broke off the reading: {error}. Ask again.") from error
    except LinkingUnavailable as error:
        raise LinkingUnavailable("The database did not answer in time. Ask again, or for less.") from error


def _uuid(name: str, value: UUID | str | None) -> str | None:
    return None if value is None else checked_uuid(name, value)


def _windows(page_size: int, after: int | None, before: int | None) -> list[tuple[str, int, int]]:
    """The ids to look through: a few next to the page before, where its neighbours usually are, and then all."""
    near = NEAR * page_size
    if after is not None:
        nearest = min(after + near, HIGHEST_ID)
        return [(queries.PAGE_BY_WINDOW, after + 1, nearest), (queries.PAGE_BY_PROGRAM, after + 1, HIGHEST_ID)]
    if before is not None:
        nearest = max(before - near, LOWEST_ID)
        return [(queries.PAGE_BY_WINDOW, nearest, before - 1), (queries.PAGE_BY_PROGRAM, LOWEST_ID, before - 1)]
    return [(queries.PAGE_BY_PROGRAM, LOWEST_ID, HIGHEST_ID)]


def _page(rows: Sequence[tuple[int, ListedEnrollment]], page_size: int, after: int | None, before: int | None) -> Page:
    """Drop the row that says whether there are more, at the far end of the direction that was read in."""
    has_more = len(rows) > page_size
    rows = rows[:page_size] if before is None else rows[-page_size:]
    first, last = (rows[0][0], rows[-1][0]) if rows else ((after or 0) + 1, (before or 0) - 1)
    return Page(
        results=[enrollment for _, enrollment in rows],
        next_after=last if has_more or before is not None else None,
        previous_before=first if after is not None or (has_more and before is not None) else None,
    )


# Keys of a program, by the program and a username or another key.
type Keys = dict[tuple[str, str], list[str]]


def _keys_by(rows: Sequence[tuple[str, str, str | None]]) -> Keys:
    keys: dict[tuple[str, str], set[str]] = {}
    for program_uuid, of, key in rows:
        keys.setdefault((program_uuid, of), set()).update({key} if key is not None else ())
    return {by: sorted(found) for by, found in keys.items()}


def _enrollment(read: dict[str, Any], held: Keys, similar: Keys) -> Enrollment:
    """An enrollment as it was read, with other keys in the same program, and each history as what changed."""
    program, key, holder = read["program_uuid"], read["external_user_key"], read["holder"]
    added = {
        "courses": [_course(course) for course in read["courses"]],
        "other_keys": [other for other in held.get((program, holder and holder["username"]), ()) if other != key],
        "similar_keys": similar.get((program, key), []),
        "history": changes(read["history"]),
    }
    return cast("Enrollment", read | added)


def _course(read: dict[str, Any]) -> dict[str, Any]:
    entered = read["course_enrollment"]
    return read | {
        "course_enrollment": entered and entered | {"history": changes(entered["history"])},
        "history": changes(read["history"]),
    }
