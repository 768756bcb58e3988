"""Link external user keys to LMS accounts: one bulk read, a decision for each key, and writes under savepoints."""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from program_enrollments.errors import Contention, DatabaseNotReady, NonExistentCourse, Refused
from program_enrollments.linking import decisions, outcomes, queries
from program_enrollments.linking.decisions import Batch, Enrollment, Link, Reading
from program_enrollments.linking.outcomes import Failure, KeptEnrollment, Outcome, UnfulfilledRole
from program_enrollments.postgres.session import Connection, Session

LONGEST_SECONDS = 900.0


def link_program_enrollments(  # noqa: PLR0913 - the options of the request, by name
    connection: Connection,
    program_uuid: UUID | str,
    external_keys_to_usernames: Mapping[str, str],
    *,
    curriculum_uuid: UUID | str | None = None,
    relink: bool = False,
    dry_run: bool = False,
    ignore_case: bool = False,
    seconds: float = LONGEST_SECONDS,
) -> Outcome:
    """Link each external user key of the program to the LMS account with the username beside it.

    As in Open edX's function of this name, a key that cannot be linked is rolled back alone and told in the outcome;
    the others are linked, and each user enters the master's track of the courses that waited for the key.

    - `curriculum_uuid`: only enrollments of that curriculum; without it, all waiting ones of a key are linked.
    - `relink`: take the enrollment from the account that holds it, instead of failing with a conflict.
    - `dry_run`: answer as a real run would, and change nothing.
    - `ignore_case`: external user keys match whatever their case; an exact match goes first.
    - `seconds`: how long the batch may take. One that takes longer is rolled back.

    The connection must not be in a transaction; the batch is one. Raise `ValueError` where a username is None,
    `ConnectionLost` where the connection went away and nothing was changed, `LinkingUnavailable` where time ran out or
    the outcome of COMMIT is unknown, and `DatabaseNotReady` where tables or privileges are missing.
    """
    if None in external_keys_to_usernames.values():
        raise ValueError("external_keys_to_usernames holds None: each external user key needs a username")
    if not external_keys_to_usernames:
        return Outcome()
    session = Session(connection, time.monotonic() + seconds)
    curriculum = None if curriculum_uuid is None else str(curriculum_uuid)
    batch = Batch(str(program_uuid), curriculum, external_keys_to_usernames, relink)
    while True:
        try:
            with session.transaction(commit=not dry_run):
                spelt = replace(batch, spellings=_spellings(session, batch)) if ignore_case else batch
                return _link_batch(session, spelt)
        except Contention:
            # Apart, so that the two do not meet again.
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 # nosec B311


def check_database(connection: Connection, seconds: float = LONGEST_SECONDS) -> None:
    """Raise `DatabaseNotReady` where the database lacks a table that linking needs, its history tables included."""
    missing = Session(connection, time.monotonic() + seconds).script(queries.MISSING_TABLES)
    if missing:
        raise DatabaseNotReady(
            f"The database lacks {missing}. Run `python -m program_enrollments.migrate` against a database of your own;"
            " on Open edX's, run its migrations, or look at PGDATABASE and the role's search_path."
        )


def _link_batch(session: Session, batch: Batch) -> Outcome:
    reading = _read(session, batch)
    plan = decisions.plan(batch, reading)
    failures = dict(plan.failures)
    kept: list[KeptEnrollment] = []
    for group in plan.groups:
        kept_by_group, refused = _under_savepoints(session, group, partial(_link, session))
        kept += kept_by_group
        failures |= {link.key: _failure(error) for link, error in refused}
    linked = [link for group in plan.groups for link in group if link.key not in failures]
    return Outcome(
        linked=len(linked),
        failures={key: failures[key] for key in batch.external_keys_to_usernames if key in failures},
        kept_enrollments=kept,
        unfulfilled_roles=_fulfil_roles(session, linked, reading),
    )


def _spellings(session: Session, batch: Batch) -> dict[str, list[str]]:
    """The program's own spellings of each key: the exact one where there is one, else all that differ in case alone."""
    stored = session.query(queries.SPELLINGS, program_uuid=batch.program_uuid, curriculum_uuid=batch.curriculum_uuid)
    exact, alike = set(stored or ()), _by_key((spelling.casefold(), spelling) for spelling in sorted(stored or ()))
    return {key: [key] if key in exact else alike.get(key.casefold(), []) for key in batch.external_keys_to_usernames}


def _read(session: Session, batch: Batch) -> Reading:
    """Find what the batch names, lock its program enrollments, and read all that the decisions need."""
    session.query(
        queries.FIND,
        program_uuid=batch.program_uuid,
        curriculum_uuid=batch.curriculum_uuid,
        external_user_keys=[spelling for key in batch.external_keys_to_usernames for spelling in batch.spelt(key)],
        usernames=list(set(batch.external_keys_to_usernames.values())),
    )
    found = session.script(queries.LOCK_AND_READ)
    return Reading(
        users=found["users"] or {},
        enrollments=_by_key((row[1], Enrollment(*row)) for row in found["enrollments"] or ()),
        missing_courses={int(enrollment_id): key for enrollment_id, key in (found["missing_courses"] or {}).items()},
        pending_roles=_by_key(found["pending_roles"] or ()),
        taken=frozenset((user_id, curriculum) for user_id, curriculum in found["taken"] or ()),
    )


def _by_key[K, V](pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    grouped: dict[K, list[V]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped


def _under_savepoints[T, R](
    session: Session, items: Sequence[T], write: Callable[[Sequence[T]], list[R]]
) -> tuple[list[R], list[tuple[T, Refused | NonExistentCourse]]]:
    """Write all items under one savepoint; where that is refused, halve them, until each refused one stands alone.

    A list of one is the savepoint for each key. A longer list means the same, and costs as much as a list of one.
    """
    try:
        with session.savepoint():
            return write(items), []
    except (Refused, NonExistentCourse) as error:
        if len(items) == 1:
            return [], [(items[0], error)]
    half = len(items) // 2
    first, refused_first = _under_savepoints(session, items[:half], write)
    second, refused_second = _under_savepoints(session, items[half:], write)
    return first + second, refused_first + refused_second


def _link(session: Session, links: Sequence[Link]) -> list[KeptEnrollment]:
    """Unlink former users, give the enrollments their users, and enroll those in the courses that waited."""
    pairs = [(enrollment, link.user_id) for link in links for enrollment in link.enrollments]
    if relinked := [enrollment.id for enrollment, _ in pairs if enrollment.user_id is not None]:
        session.script(queries.UNLINK, enrollments=relinked)
    session.script(
        queries.CLAIM,
        enrollments=[enrollment.id for enrollment, _ in pairs],
        users=[user_id for _, user_id in pairs],
    )
    for link in links:
        if link.missing_course is not None:
            raise NonExistentCourse(link.missing_course)
    return [KeptEnrollment(*row) for row in session.script(queries.ENROLL) or ()]


def _fulfil_roles(session: Session, linked: Sequence[Link], reading: Reading) -> list[UnfulfilledRole]:
    """Grant the pending course roles of what was linked; one that is refused stays pending, and its link stands."""
    enrollments = (enrollment.id for link in linked for enrollment in link.enrollments)
    pending = [role for enrollment_id in enrollments for role in reading.pending_roles.get(enrollment_id, ())]
    if not pending:
        return []

    def fulfil(assignments: Sequence[int]) -> list[object]:
        session.script(queries.FULFIL_ROLES, assignments=assignments)
        return []

    _, refused = _under_savepoints(session, pending, fulfil)
    return [UnfulfilledRole(assignment_id, error) for assignment_id, error in refused if isinstance(error, Refused)]


def _failure(error: Refused | NonExistentCourse) -> Failure:
    if isinstance(error, Refused):
        return outcomes.integrity_error(error)
    return outcomes.course_not_found(str(error))
