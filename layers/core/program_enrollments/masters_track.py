"""How an account enters the master's track of a course, in linking and in enrolling."""

from typing import NamedTuple

from program_enrollments import history


class KeptEnrollment(NamedTuple):
    """An active course enrollment in a mode other than audit, honor or masters, which is left as it is."""

    course_enrollment_id: int
    course_key: str
    mode: str


ENTERED = """
    entered AS (
        INSERT INTO student_courseenrollment AS met (created, is_active, mode, course_id, user_id)
        SELECT (SELECT clock_timestamp()), track.is_active, 'masters', track.course_key, track.user_id
        FROM (<track>) AS track
        ON CONFLICT (user_id, course_id) DO UPDATE
        SET mode = excluded.mode, is_active = excluded.is_active
        WHERE (NOT met.is_active OR met.mode IN ('audit', 'honor', 'masters'))
        AND (met.mode, met.is_active) <> (excluded.mode, excluded.is_active)
        RETURNING met.*, CASE WHEN met.xmax = 0 THEN '+' ELSE '~' END AS history_type
    )
"""
RECORD_ENTERED = history.record(history.COURSE_ENROLLMENTS, "entered")


def entered(track: str) -> str:
    """What of a statement lets accounts enter: `track` is SQL with the columns user_id, course_key and is_active.

    What it selects is in (user, course) order, for that is the order of the locks. A row that the INSERT made has no
    xmax; one that it met and changed has. What it met and left is not in `entered`.
    """
    return ENTERED.replace("<track>", track)
