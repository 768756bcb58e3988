"""One batch in an open transaction: one bulk read, a decision for each key, and one script that writes."""

import json
from collections.abc import Callable, Iterable, Sequence

from program_enrollments.errors import Refused
from program_enrollments.limits import caseless
from program_enrollments.linking import decisions, outcomes, queries, writes
from program_enrollments.linking.decisions import Batch, Enrollment, Link, Plan, Reading
from program_enrollments.linking.outcomes import Failure, Outcome, UnfulfilledRole
from program_enrollments.masters_track import KeptEnrollment
from program_enrollments.postgres.encodings import unstorable
from program_enrollments.postgres.savepoints import write_each
from program_enrollments.postgres.session import Session


def link_batch(
    session: Session,
    batch: Batch,
    *,
    ignore_case: bool = False,
    decide: Callable[[Batch, Reading], Plan] = decisions.plan,
) -> Outcome:
    """Read what the batch names, decide what each key needs, and write; the caller commits or rolls back."""
    if ignore_case:
        batch = batch._replace(spellings=_spellings(session, batch))
    reading = _read(session, batch)
    plan = decide(batch, reading)
    links = [*plan.together, *plan.alone]
    written = write_each(session, writes.LINK, [_item(link) for link in links], together=len(plan.together))
    failures = plan.failures | {links[position].key: _failure(why) for position, why in written.refusals.items()}
    linked = [link for position, link in enumerate(links) if position not in written.refusals]
    return Outcome(
        linked=len(linked),
        failures={key: failures[key] for key in batch.external_keys_to_usernames if key in failures},
        kept_enrollments=[KeptEnrollment(*row) for row in written.reported],
        unfulfilled_roles=_fulfil_roles(session, linked, reading),
    )


def _spellings(session: Session, batch: Batch) -> dict[str, list[str]]:
    """The program's own spellings of each key: the exact one if there is one, else all that differ only in case."""
    stored = session.query(queries.SPELLINGS, program_uuid=batch.program_uuid, curriculum_uuid=batch.curriculum_uuid)
    exact, alike = set(stored or ()), _by_key((caseless(spelling), spelling) for spelling in sorted(stored or ()))
    return {key: [key] if key in exact else alike.get(caseless(key), []) for key in batch.external_keys_to_usernames}


def _read(session: Session, batch: Batch) -> Reading:
    """Find what the batch names, lock its program enrollments, and read all that the decisions need."""
    keys = [spelling for key in batch.external_keys_to_usernames for spelling in batch.spelt(key)]
    usernames = dict.fromkeys(batch.external_keys_to_usernames.values())
    unheld = unstorable(session, [*keys, *usernames])
    session.query(
        queries.FIND,
        program_uuid=batch.program_uuid,
        curriculum_uuid=batch.curriculum_uuid,
        external_user_keys=_json(key for key in keys if key not in unheld),
        usernames=_json(username for username in usernames if username not in unheld),
    )
    found = session.script(queries.LOCK_AND_READ)
    return Reading(
        users=found["users"] or {},
        enrollments=_by_key((row[1], Enrollment(*row)) for row in found["enrollments"] or ()),
        missing_courses={int(enrollment_id): key for enrollment_id, key in (found["missing_courses"] or {}).items()},
        pending_roles=_by_key(found["pending_roles"] or ()),
        taken=frozenset((user_id, curriculum) for user_id, curriculum in found["taken"] or ()),
    )


def _json(texts: Iterable[str]) -> str:
    """A list as JSON, because a text array would lose a `null` in the driver's spelling of arrays."""
    return json.dumps(list(texts), ensure_ascii=False)


def _by_key[K, V](pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    grouped: dict[K, list[V]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped


def _item(link: Link) -> dict[str, object]:
    ids = [enrollment.id for enrollment in link.enrollments]
    return {"user": link.user_id, "enrollments": ids, "relinked": link.relinked}


def _failure(refusal: Refused) -> Failure:
    if refusal.sqlstate == writes.NO_SUCH_COURSE:
        return outcomes.course_not_found(str(refusal.detail))
    return outcomes.integrity_error(refusal)


def _fulfil_roles(session: Session, linked: Sequence[Link], reading: Reading) -> list[UnfulfilledRole]:
    """Grant the pending course roles of what was linked; one that is refused stays pending, and its link stands."""
    enrollments = (enrollment.id for link in linked for enrollment in link.enrollments)
    pending = [role for enrollment_id in enrollments for role in reading.pending_roles.get(enrollment_id, ())]
    written = write_each(session, writes.FULFIL_ROLES, pending, together=len(pending))
    return [UnfulfilledRole(pending[position], refusal) for position, refusal in written.refusals.items()]
