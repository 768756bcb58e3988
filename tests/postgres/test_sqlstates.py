"""What the server's errors mean: the data, the set-up, the time, or the connection."""

import pytest
from pg8000.native import Connection

from local.lms import PROGRAM, Lms
from program_enrollments import ConnectionLost, DatabaseNotReady, LinkingUnavailable, link_program_enrollments

OUT_OF_TIME = "The batch could not be finished in time and was rolled back; nothing was changed."
NOT_READY = (
    "The database is not ready for linking: first line. Run `python -m program_enrollments.migrate` against a database"
    " of your own; on Open edX's, look at the tables and at the grants of the service's role."
)


def fail_with(lms: Lms, sqlstate: str) -> None:
    """Let a program enrollment that could be linked meet an error of the server."""
    lms.user("alice")
    lms.enrollment("student-001")
    lms.run(f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'first line%', E'\\nsecond line' USING ERRCODE = '{sqlstate}';
        END $$;
        CREATE TRIGGER fail BEFORE UPDATE ON program_enrollments_programenrollment
        FOR EACH ROW EXECUTE FUNCTION fail()
    """)


@pytest.mark.parametrize(
    ("sqlstate", "kind", "message"),
    [
        ("55P03", LinkingUnavailable, OUT_OF_TIME),
        pytest.param("57014", LinkingUnavailable, OUT_OF_TIME, marks=pytest.mark.slow),
        ("40001", LinkingUnavailable, OUT_OF_TIME),
        pytest.param("40P01", LinkingUnavailable, OUT_OF_TIME, marks=pytest.mark.slow),
        ("08006", ConnectionLost, "first line"),
        ("25006", ConnectionLost, "first line: look at PGHOST, which leads to a server that only reads"),
        ("53200", ConnectionLost, "first line"),
        ("57P01", ConnectionLost, "first line"),
        ("58030", ConnectionLost, "first line"),
        ("42501", DatabaseNotReady, NOT_READY),
        (
            "3F000",
            DatabaseNotReady,
            "The database is not ready for linking: first line. Look at the role's search_path",
        ),
    ],
)
def test_not_the_data(lms: Lms, other_session: Connection, sqlstate: str, kind: type[Exception], message: str) -> None:
    """An error that is not about the data fails the whole batch, as what it is."""
    fail_with(lms, sqlstate)
    with pytest.raises(kind) as caught:
        link_program_enrollments(other_session, PROGRAM, {"student-001": "alice"}, seconds=1)
    assert caught.type is kind
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "sqlstate",
    [
        "22003",
        "23502",
        "23514",
        "P0001",
        "P0004",
        "EDX01",
        "0A000",
        "28000",
        "2F004",
        "40002",
        "54000",
        "55000",
        "XX000",
    ],
)
def test_the_data(lms: Lms, other_session: Connection, sqlstate: str) -> None:
    """A value, a constraint or a trigger that is in the way fails that key only, with the first line of the message."""
    fail_with(lms, sqlstate)
    outcome = link_program_enrollments(other_session, PROGRAM, {"student-001": "alice"})
    assert (outcome.linked, outcome.errors) == (0, {"student-001": "IntegrityError: first line"})


def test_a_column_that_has_to_be_filled(lms: Lms, other_session: Connection) -> None:
    """A column that linking does not fill and that has to be filled is a fault of the database, and is named."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    lms.run("ALTER TABLE student_courseenrollment ADD COLUMN added integer NOT NULL")
    with pytest.raises(DatabaseNotReady, match='null value in column "added" of relation "student_courseenrollment"'):
        link_program_enrollments(other_session, PROGRAM, {"student-001": "alice"})
