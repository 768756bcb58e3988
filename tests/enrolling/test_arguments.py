"""What the core does not take: it is a library too."""

from typing import Any

import pytest

from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments.enrolling.rows import CourseRow, ProgramRow
from program_enrollments.enrolling.verbs import write_program_course_enrollments, write_program_enrollments
from program_enrollments.errors import NonExistentCourse

ROW = ProgramRow("k", "enrolled", CURRICULUM)


@pytest.mark.parametrize(
    ("program", "rows", "options", "reason"),
    [
        (PROGRAM, [ROW], {"create": False, "update": False}, "give create, update or both"),
        ("no uuid", [ROW], {"create": True, "update": False}, "program_uuid 'no uuid' is not a UUID"),
        (PROGRAM, [ROW] * 10_001, {"create": True, "update": False}, "10,001 rows are more than 10,000"),
        (PROGRAM, [ROW._replace(student_key="")], {"create": True, "update": False}, "row 0: student_key '' is empty"),
        (
            PROGRAM,
            [ROW, ROW._replace(student_key="a\0")],
            {"create": True, "update": False},
            "row 1: student_key .* has a NUL",
        ),
        (
            PROGRAM,
            [ROW._replace(student_key="\ud800")],
            {"create": True, "update": False},
            "row 0: student_key .* has a lone",
        ),
        (
            PROGRAM,
            [ROW._replace(student_key="x" * 256)],
            {"create": True, "update": False},
            "row 0: student_key .* is longer",
        ),
        (
            PROGRAM,
            [ROW._replace(curriculum_uuid="c")],
            {"create": True, "update": False},
            "row 0: curriculum_uuid 'c' is not a UUID",
        ),
        (
            PROGRAM,
            [ROW._replace(curriculum_uuid=None)],
            {"create": True, "update": False},
            "row 0: a new enrollment needs",
        ),
        (PROGRAM, [ROW._replace(status=None)], {"create": True, "update": False}, "row 0: status None is not a string"),  # type: ignore[arg-type]
        (PROGRAM, [tuple(ROW)], {"create": True, "update": False}, "row 0 is no ProgramRow"),
        (PROGRAM, [CourseRow("k", "active")], {"create": False, "update": True}, "row 0 is no ProgramRow"),
        (PROGRAM, "rows", {"create": True, "update": False}, "row 0 is no ProgramRow"),
        (PROGRAM, None, {"create": True, "update": False}, "the rows are not a sequence"),
        (PROGRAM, {"k": "enrolled"}, {"create": True, "update": False}, "the rows are not a sequence"),
        (PROGRAM, [ROW], {"create": "no", "update": True}, "create 'no' is neither True nor False"),
        (PROGRAM, [ROW], {"create": True, "update": 0}, "update 0 is neither"),
        (PROGRAM, [ROW], {"create": True, "update": False, "dry_run": "false"}, "dry_run 'false' is neither"),
    ],
)
def test_refused(lms: Lms, program: str, rows: list[ProgramRow], options: dict[str, Any], reason: str) -> None:
    """What cannot be taken as given is refused before anything is read."""
    with pytest.raises(ValueError, match=reason):
        write_program_enrollments(lms.connection, program, rows, **options)


@pytest.mark.parametrize(
    ("course_key", "row", "reason"),
    [
        (DEMO_COURSE, CourseRow("k", "active", course_staff="false"), "row 0: course_staff 'false' is neither"),  # type: ignore[arg-type]
        (DEMO_COURSE, CourseRow("k", "active", course_staff=1), "row 0: course_staff 1 is neither"),  # type: ignore[arg-type]
        (None, CourseRow("k", "active"), "course_key None is not a string"),
        (b"a/b/c", CourseRow("k", "active"), "course_key b'a/b/c' is not a string"),
    ],
)
def test_refused_in_a_course(lms: Lms, course_key: Any, row: CourseRow, reason: str) -> None:  # noqa: ANN401
    """A staff role is given only for what is true, and a course is named by a string."""
    lms.course()
    with pytest.raises(ValueError, match=reason):
        write_program_course_enrollments(lms.connection, PROGRAM, course_key, [row], create=True, update=False)


@pytest.mark.parametrize("course_key", ["course-v1:No+Such+Course", "", "x"])
def test_unknown_course(lms: Lms, course_key: str) -> None:
    """A course that the LMS does not know is refused, and the connection can be used again."""
    with pytest.raises(NonExistentCourse):
        write_program_course_enrollments(
            lms.connection, PROGRAM, course_key, [CourseRow("k", "active")], create=True, update=False
        )
    assert lms.course() == DEMO_COURSE


def test_a_dry_run_changes_nothing(lms: Lms) -> None:
    """A dry run answers as a real one would, and nothing is written."""
    written = write_program_enrollments(lms.connection, PROGRAM, [ROW], create=True, update=False, dry_run=True)
    assert written.statuses == {"k": "enrolled"}
    assert lms.rows("program_enrollments_programenrollment") == []
