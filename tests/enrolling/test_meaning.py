"""Writing rows in sets means the same as writing them one by one, in the plain way."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plain_enrolling import write_course_plainly, write_program_plainly
from local.lms import PROGRAM, Lms
from program_enrollments.enrolling.rows import CourseRow, ProgramRow
from program_enrollments.enrolling.verbs import write_program_course_enrollments, write_program_enrollments

KEYS = ["k1", "K1", "k2", "k3", "k4", "k5"]
USERS = ["alice", "bob", "carol"]
INACTIVE = "carol"
COURSE = "course-v1:A+1+R"
CURRICULA = ["c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002"]
OTHER_PROGRAM = "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a11"
MODES = ["audit", "honor", "masters", "verified"]
TABLES = [
    "program_enrollments_programenrollment",
    "program_enrollments_programcourseenrollment",
    "program_enrollments_courseaccessroleassignment",
    "student_courseenrollment",
    "student_courseaccessrole",
    "program_enrollments_historicalprogramenrollment",
    "program_enrollments_historicalprogramcourseenrollment",
    "student_courseenrollment_history",
]
CONTENTS = [
    """
    SELECT external_user_key, program_uuid, curriculum_uuid, user_id, status, modified > created
    FROM program_enrollments_programenrollment
    """,
    """
    SELECT external_user_key, curriculum_uuid, course_key, course.status, met.user_id, course.modified > course.created
    FROM program_enrollments_programcourseenrollment AS course
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
    LEFT JOIN student_courseenrollment AS met ON met.id = course_enrollment_id
    """,
    """
    SELECT external_user_key, curriculum_uuid, role
    FROM program_enrollments_courseaccessroleassignment AS assignment
    JOIN program_enrollments_programcourseenrollment AS course ON course.id = assignment.enrollment_id
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
    """,
    "SELECT user_id, course_id, mode, is_active FROM student_courseenrollment",
    "SELECT org, user_id, course_id, role FROM student_courseaccessrole",
    """
    SELECT external_user_key, curriculum_uuid, user_id, status, history_type
    FROM program_enrollments_historicalprogramenrollment
    """,
    """
    SELECT external_user_key, curriculum_uuid, course_key, course.status, course_enrollment_id IS NULL, history_type
    FROM program_enrollments_historicalprogramcourseenrollment AS course
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
    """,
    "SELECT user_id, course_id, mode, is_active, history_type FROM student_courseenrollment_history",
]

keys, curricula = st.sampled_from(KEYS), st.sampled_from(CURRICULA)
program_rows = st.lists(
    st.builds(ProgramRow, keys, st.sampled_from(["enrolled", "pending", "ended", "gone"]), curricula), max_size=6
)
course_rows = st.lists(
    st.builds(
        CourseRow,
        keys,
        st.sampled_from(["active", "inactive", "active", "inactive", "gone"]),
        st.none() | curricula,
        st.none() | st.booleans(),
    ),
    max_size=6,
)
ways = st.sampled_from([(True, False), (False, True), (True, True)])


@dataclass(frozen=True)
class World:
    """A small LMS that is dense in conflicts."""

    enrollments: dict[tuple[str, str], tuple[str | None, str, str | None]]
    elsewhere: dict[str, str]
    course_enrollments: dict[str, tuple[str, bool]]


worlds = st.builds(
    World,
    st.dictionaries(
        st.tuples(keys, curricula),
        st.tuples(
            st.none() | st.sampled_from(USERS),
            st.sampled_from(["enrolled", "pending"]),
            st.none() | st.sampled_from(["active", "inactive"]),
        ),
    ),
    st.dictionaries(keys, st.sampled_from(["active", "inactive"]), max_size=2),
    st.dictionaries(st.sampled_from(USERS), st.tuples(st.sampled_from(MODES), st.booleans())),
)


def build(lms: Lms, world: World) -> None:
    """Write the world into an LMS that may hold another one."""
    lms.run(f"TRUNCATE {', '.join(TABLES)}, auth_user, course_overviews_courseoverview RESTART IDENTITY CASCADE")
    users = {username: lms.user(username, is_active=username != INACTIVE) for username in USERS}
    lms.course(COURSE)
    met = {
        username: lms.course_enrollment(users[username], COURSE, mode, is_active=is_active)
        for username, (mode, is_active) in world.course_enrollments.items()
    }
    held: set[tuple[str | None, str]] = set()
    for (key, curriculum), (holder, status, place) in world.enrollments.items():
        user_id = users[holder] if holder and (holder, curriculum) not in held else None
        held.add((holder, curriculum))
        id_ = lms.enrollment(key, {COURSE: place} if place else {}, user_id=user_id, curriculum=curriculum)
        lms.run(
            "UPDATE program_enrollments_programenrollment SET status = :status WHERE id = :id", status=status, id=id_
        )
        if user_id and holder in met:
            lms.run(
                "UPDATE program_enrollments_programcourseenrollment SET course_enrollment_id = :met"
                " WHERE program_enrollment_id = :id",
                met=met[holder],
                id=id_,
            )
    for key, status in world.elsewhere.items():
        lms.enrollment(key, {COURSE: status}, program=OTHER_PROGRAM)


def contents(lms: Lms) -> list[Counter[tuple[object, ...]]]:
    """What the tables say, with names in place of ids and without the times."""
    return [Counter(map(tuple, lms.run(table))) for table in CONTENTS]


@given(world=worlds, rows=program_rows, way=ways)
def test_program_rows(lms: Lms, world: World, rows: list[ProgramRow], way: tuple[bool, bool]) -> None:
    """Rows of a program end with the same statuses and tables as in the plain way."""
    create, update = way
    build(lms, world)
    expected = write_program_plainly(lms.connection, PROGRAM, rows, create=create, update=update)
    expected_contents = contents(lms)
    build(lms, world)
    written = write_program_enrollments(lms.connection, PROGRAM, rows, create=create, update=update)
    assert written.statuses == expected
    assert contents(lms) == expected_contents


@given(world=worlds, rows=course_rows, way=ways)
def test_course_rows(lms: Lms, world: World, rows: list[CourseRow], way: tuple[bool, bool]) -> None:
    """Rows of a course end with the same statuses and tables as in the plain way."""
    create, update = way
    build(lms, world)
    expected = write_course_plainly(lms.connection, PROGRAM, COURSE, rows, create=create, update=update)
    expected_contents = contents(lms)
    build(lms, world)
    written = write_program_course_enrollments(lms.connection, PROGRAM, COURSE, rows, create=create, update=update)
    assert written.statuses == expected
    assert contents(lms) == expected_contents
