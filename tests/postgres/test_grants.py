"""The role of the service's database user: it can do its job and nothing else."""

import subprocess
import sys
from collections import defaultdict

import pytest
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

from local.lms import CURRICULUM, DEMO_COURSE, Lms
from program_enrollments import DatabaseNotReady, connect, grants
from tests.support import Invoke

SECOND_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"
PRIVILEGES = {
    "course_modes_coursemode": {"SELECT"},
    "course_overviews_courseoverview": {"SELECT"},
    "program_enrollments_courseaccessroleassignment": {"SELECT", "INSERT", "DELETE"},
    "program_enrollments_historicalprogramcourseenrollment": {"INSERT"},
    "program_enrollments_historicalprogramenrollment": {"INSERT"},
    "program_enrollments_programcourseenrollment": {"SELECT", "INSERT"},
    "program_enrollments_programenrollment": {"SELECT", "INSERT"},
    "student_courseaccessrole": {"SELECT", "INSERT", "DELETE"},
    "student_courseenrollment": {"SELECT", "INSERT"},
    "student_courseenrollment_history": {"INSERT"},
}
COLUMN_PRIVILEGES = {
    ("auth_user", "SELECT"): {"id", "username", "is_active"},
    ("program_enrollments_historicalprogramcourseenrollment", "SELECT"): {
        *("id", "status", "course_enrollment_id"),
        *("history_id", "history_date", "history_type", "history_user_id"),
    },
    ("program_enrollments_historicalprogramenrollment", "SELECT"): {
        *("id", "external_user_key", "curriculum_uuid", "status", "user_id"),
        *("history_id", "history_date", "history_type", "history_user_id"),
    },
    ("student_courseenrollment_history", "SELECT"): {
        *("id", "mode", "is_active", "history_date", "history_type", "history_user_id"),
    },
    ("program_enrollments_programcourseenrollment", "UPDATE"): {"course_enrollment_id", "modified", "status"},
    ("program_enrollments_programenrollment", "UPDATE"): {"user_id", "modified", "status"},
    ("student_courseenrollment", "UPDATE"): {"is_active", "mode"},
}
REFUSED = [
    "CREATE TABLE mine (id integer)",
    "CREATE SCHEMA mine",
    "CREATE INDEX ON auth_user (email)",
    "ALTER TABLE auth_user ADD COLUMN mine integer",
    "DROP TABLE student_courseenrollment",
    "TRUNCATE student_courseenrollment",
    "CREATE ROLE mine",
    "SET ROLE postgres",
    "ALTER TABLE program_enrollments_programenrollment DISABLE TRIGGER ALL",
    "SELECT * FROM certificates_generatedcertificate",
    "SELECT email FROM auth_user",
    "SELECT password FROM auth_user",
    "UPDATE auth_user SET is_active = false",
    "INSERT INTO auth_user (username) VALUES ('mallory')",
    "DELETE FROM auth_user",
    "DELETE FROM student_courseenrollment",
    "DELETE FROM program_enrollments_programenrollment",
    "DELETE FROM program_enrollments_programcourseenrollment",
    "UPDATE student_courseaccessrole SET role = 'instructor'",
    "UPDATE student_courseenrollment SET user_id = 1",
    "UPDATE program_enrollments_programenrollment SET external_user_key = 'mine'",
    "UPDATE program_enrollments_programcourseenrollment SET course_key = 'mine'",
    "INSERT INTO course_overviews_courseoverview (id) VALUES ('mine')",
    "SELECT * FROM program_enrollments_historicalprogramenrollment",
    "SELECT user_id FROM student_courseenrollment_history",
    "UPDATE program_enrollments_historicalprogramenrollment SET history_type = '+'",
    "DELETE FROM student_courseenrollment_history",
]


def test_the_role_links(lms: Lms, invoke: Invoke) -> None:
    """The role does all that a request can ask for."""
    lms.course(modes={"masters": None, "audit": None})
    users = {name: lms.user(name) for name in ("alice", "bob", "carol", "dave")}
    lms.course_enrollment(users["alice"], DEMO_COURSE, "audit")
    lms.course_enrollment(users["bob"], DEMO_COURSE, "verified")
    pending = lms.enrollment("student-001", [DEMO_COURSE])
    lms.role_assignment(pending, DEMO_COURSE)
    lms.enrollment("student-001", [DEMO_COURSE], curriculum=SECOND_CURRICULUM)
    lms.enrollment("Student-002", [DEMO_COURSE])
    held = lms.enrollment("student-003", [DEMO_COURSE])
    lms.enrollment("student-004", ["course-v1:edX+Gone+2026"])
    keys = {"student-001": "alice", "student-002": "bob", "student-003": "carol", "student-004": "dave"}

    assert invoke(keys, ignore_case=True, dry_run=True)["linked"] == 3
    assert invoke(keys, ignore_case=True, curriculum_uuid=CURRICULUM)["error_codes"] == {
        "student-004": "course-not-found"
    }
    assert invoke({"student-001": "alice", "student-003": "dave"}, relink=True)["errors"] == {}
    assert lms.rows("student_courseaccessrole", "role, user_id") == [["staff", users["alice"]]]
    assert lms.rows("program_enrollments_courseaccessroleassignment") == []
    assert lms.run("SELECT user_id FROM program_enrollments_programenrollment WHERE id = :id", id=held) == [
        [users["dave"]]
    ]


SERIAL = """
DO $$
DECLARE
    id record;
BEGIN
    FOR id IN
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND is_identity = 'YES'
    LOOP
        EXECUTE format('ALTER TABLE %1$I ALTER %2$I DROP IDENTITY; CREATE SEQUENCE "%1$s Seq";'
            ' ALTER TABLE %1$I ALTER %2$I SET DEFAULT nextval(''"%1$s Seq"'')', id.table_name, id.column_name);
        IF id.table_name LIKE '%courseenrollment' THEN
            EXECUTE format('ALTER SEQUENCE "%1$s Seq" OWNED BY %1$I.%2$I', id.table_name, id.column_name);
        END IF;
    END LOOP;
END $$
"""


def test_the_role_links_if_ids_come_from_sequences(lms: Lms, invoke: Invoke) -> None:
    """Sequences that fill ids are granted too, whether a column owns them or not."""
    lms.run(SERIAL)
    alice = lms.user("alice")
    lms.role_assignment(lms.enrollment("student-001", [lms.course()]), DEMO_COURSE)
    with pytest.raises(DatabaseNotReady, match=r"permission denied for sequence"):
        invoke({"student-001": "alice"})
    [[role]] = lms.run(
        "SELECT DISTINCT grantee::text FROM information_schema.role_table_grants"
        " WHERE grantee LIKE 'program_linking_service%' AND table_catalog = current_database()"
    )
    lms.run(grants.grants(role, lms.run("SELECT current_database()")[0][0]))
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("student_courseaccessrole", "role, user_id") == [["staff", alice]]
    assert lms.run("SELECT has_sequence_privilege(:role, '\"auth_user Seq\"', 'USAGE')", role=role) == [[False]]


def test_the_role_holds_what_is_printed(lms: Lms) -> None:
    """The role has these privileges on tables and columns, and no others."""
    tables, columns = defaultdict(set), defaultdict(set)
    of_the_role = "WHERE grantee LIKE 'program_linking_service%' AND table_catalog = current_database()"
    for table, privilege in lms.run(
        f"SELECT table_name, privilege_type FROM information_schema.role_table_grants {of_the_role}"
    ):
        tables[table].add(privilege)
    for table, privilege, column in lms.run(
        "SELECT table_name, privilege_type, column_name"
        f" FROM information_schema.column_privileges AS of_column {of_the_role} AND NOT EXISTS ("
        "SELECT FROM information_schema.role_table_grants AS of_table"
        " WHERE (of_table.grantee, of_table.table_name, of_table.privilege_type)"
        " = (of_column.grantee, of_column.table_name, of_column.privilege_type))"
    ):
        columns[table, privilege].add(column)
    assert tables == PRIVILEGES
    assert columns == COLUMN_PRIVILEGES


def test_the_role_can_do_nothing_else(lms: Lms) -> None:
    """No DDL, no other table, no other column, no DELETE beyond the role assignments."""
    lms.run("CREATE TABLE certificates_generatedcertificate (id integer)")
    lms.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # which PostgreSQL 14 gives to everybody
    with connect() as session:
        assert {statement: _sqlstate(session, statement) for statement in REFUSED} == dict.fromkeys(REFUSED, "42501")


def test_the_command_prints_sql(lms: Lms) -> None:
    """The command prints SQL for the role and the database that it is given, whatever their names."""
    command = [sys.executable, "-m", "program_enrollments.grants", 'link"er']
    printed = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PGDATABASE": "edxapp", "PYTHONPATH": "layers/core"}
    ).stdout
    assert printed.splitlines()[:5] == [
        '-- First the role: CREATE ROLE "link""er" LOGIN PASSWORD \'...\';',
        '-- or, to log in with IAM on RDS: CREATE ROLE "link""er" LOGIN; GRANT rds_iam TO "link""er";',
        'GRANT CONNECT ON DATABASE "edxapp" TO "link""er";',
        'GRANT USAGE ON SCHEMA public TO "link""er";',
        'GRANT SELECT (id, username, is_active) ON TABLE auth_user TO "link""er";',
    ]
    lms.run('DROP ROLE IF EXISTS "link""er"; CREATE ROLE "link""er"')
    lms.run(printed.replace('"edxapp"', lms.run("SELECT current_database()")[0][0]))
    lms.run('DROP OWNED BY "link""er"; DROP ROLE "link""er"')


@pytest.mark.parametrize(("named", "database"), [("", '"openedx"'), ('edx"app', '"edx""app"')])
def test_the_command_names_role_and_database(
    named: str, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SQL is for the database that PGDATABASE names, or for Open edX's usual one."""
    monkeypatch.setenv("PGDATABASE", named)
    monkeypatch.setattr(sys, "argv", ["grants", 'link"er'])
    assert grants.main() == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        '-- First the role: CREATE ROLE "link""er" LOGIN PASSWORD \'...\';',
        '-- or, to log in with IAM on RDS: CREATE ROLE "link""er" LOGIN; GRANT rds_iam TO "link""er";',
        f'GRANT CONNECT ON DATABASE {database} TO "link""er";',
        'GRANT USAGE ON SCHEMA public TO "link""er";',
    ]


@pytest.mark.parametrize("arguments", [[], ["linker", "openedx"]])
def test_the_command_needs_one_role(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a role, or with more than that, the command prints its usage and ends with status 2."""
    monkeypatch.setattr(sys, "argv", ["grants", *arguments])
    assert grants.main() == 2
    assert capsys.readouterr() == ("", "usage: python -m program_enrollments.grants ROLE\n")


def _sqlstate(session: Connection, statement: str) -> str:
    with pytest.raises(DatabaseError) as refusal:
        session.run(statement)
    return str(refusal.value.args[0]["C"])
