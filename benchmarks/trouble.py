"""Batches full of trouble: rosters whose keys fail, or meet each other, in ways that a clean batch does not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks.roster import NO_COURSE, Roster, add_roster
from local.lms import CURRICULUM, Lms
from program_enrollments import link_program_enrollments

SECOND_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"
ENROLLMENT = "program_enrollments_programenrollment"
LAST_WRITTEN = "program_enrollments_historicalprogramcourseenrollment"


@dataclass(frozen=True)
class Trouble:
    """A kind of batch: how to make one of so many keys, and what is in the way while it is linked."""

    name: str
    add: Callable[[Lms, int], Roster]
    relink: bool = False
    refused: str | None = None
    table: str = ENROLLMENT


def add_rekeyed(lms: Lms, size: int) -> Roster:
    """Add a roster whose accounts all hold the program under an old key."""
    roster = add_roster(lms, size)
    lms.run(f"""
        INSERT INTO {ENROLLMENT}
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
        SELECT now(), now(), 'old-' || username, '{roster.program_uuid}', '{CURRICULUM}', 'enrolled', id
        FROM auth_user WHERE username LIKE 'r{roster.program_uuid[:8]}-user-%'
    """)
    return roster


def add_few_accounts(lms: Lms, size: int) -> Roster:
    """Add a roster that wants to link all its keys to a hundred accounts."""
    roster = add_roster(lms, size)
    few = list(roster.external_keys_to_usernames.values())[:100]
    keys = enumerate(roster.external_keys_to_usernames)
    return replace(roster, external_keys_to_usernames={key: few[number % len(few)] for number, key in keys})


def add_swapped(lms: Lms, size: int) -> Roster:
    """Add a linked roster whose accounts are to swap their keys, two by two."""
    roster = add_roster(lms, size)
    held = roster.external_keys_to_usernames
    link_program_enrollments(lms.connection, roster.program_uuid, held)
    names = list(held.values())
    swapped = [name for pair in zip(names[1::2], names[::2], strict=True) for name in pair]
    return replace(roster, external_keys_to_usernames=dict(zip(held, swapped, strict=True)))


def add_two_curricula(lms: Lms, size: int) -> Roster:
    """Add a roster half of whose keys wait in two curricula, in one of which the account holds another key."""
    roster = add_rekeyed(lms, size // 2)
    lms.run(f"""
        INSERT INTO {ENROLLMENT} (created, modified, external_user_key, program_uuid, curriculum_uuid, status)
        SELECT now(), now(), external_user_key, program_uuid, '{SECOND_CURRICULUM}', status
        FROM {ENROLLMENT} WHERE program_uuid = '{roster.program_uuid}' AND user_id IS NULL
    """)
    other = add_roster(lms, size - size // 2)
    moved = f"UPDATE {ENROLLMENT} SET program_uuid = :program WHERE program_uuid = CAST(:other AS uuid)"
    lms.run(moved, program=roster.program_uuid, other=other.program_uuid)
    return replace(
        roster, external_keys_to_usernames=roster.external_keys_to_usernames | other.external_keys_to_usernames
    )


def add_missing(lms: Lms, size: int) -> Roster:
    """Add a roster of which every fifth key waits for a course that is gone, and as many want an account that is."""
    roster = add_roster(lms, size)
    lms.run(f"""
        UPDATE program_enrollments_programcourseenrollment SET course_key = '{NO_COURSE}'
        WHERE id IN (
            SELECT min(course.id) FROM program_enrollments_programcourseenrollment AS course
            JOIN {ENROLLMENT} AS enrollment ON enrollment.id = program_enrollment_id
            WHERE program_uuid = '{roster.program_uuid}' AND enrollment.id % 5 = 0 GROUP BY enrollment.id
        );
        DELETE FROM auth_user WHERE username LIKE 'r{roster.program_uuid[:8]}-user-%3'
    """)
    return roster


TROUBLES = [
    Trouble("clean", add_roster),
    Trouble("every account holds the program under an old key", add_rekeyed),
    Trouble("a hundred accounts for all keys", add_few_accounts),
    Trouble("linked pairs that swap their accounts", add_swapped, relink=True),
    Trouble("half in two curricula, one of them taken", add_two_curricula),
    Trouble("every fifth without course, every tenth without account", add_missing),
    Trouble("a trigger refuses every key", add_roster, refused="true"),
    Trouble("a trigger refuses every other key", add_roster, refused="NEW.id % 2 = 0"),
    Trouble("a trigger refuses one key", add_roster, refused="NEW.external_user_key LIKE '%-key-1543'"),
    Trouble(
        "a trigger on the table written last refuses every other key",
        add_roster,
        refused="NEW.program_enrollment_id % 2 = 0",
        table=LAST_WRITTEN,
    ),
]


@contextmanager
def in_the_way(lms: Lms, trouble: Trouble) -> Iterator[None]:
    """Let a trigger refuse what the kind of trouble says, for as long as it takes."""
    if trouble.refused is None:
        yield
        return
    lms.run(f"""
        CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'refused';
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {trouble.table}
        FOR EACH ROW WHEN ({trouble.refused}) EXECUTE FUNCTION refuse()
    """)
    try:
        yield
    finally:
        lms.run(f"DROP TRIGGER refuse ON {trouble.table}")
