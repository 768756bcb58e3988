"""What the service's database role may do, and nothing else: `python -m program_enrollments.grants ROLE` prints it.

The owner of the tables runs the SQL in the LMS's database, which PGDATABASE names. Identity columns need no grant on
their sequences, but ids that come from sequences do (of Django before 4.1, or moved by pgloader): the SQL finds those.
Foreign keys are checked as the tables' owner.
"""

import os
import sys
import time

from program_enrollments.postgres.session import Connection, Session

DATABASE = "openedx"
LONGEST_SECONDS = 60.0

# Of an account, the service reads neither its e-mail nor its password's hash.
PRIVILEGES = {
    "auth_user": "SELECT (id, username, is_active)",
    "course_modes_coursemode": "SELECT",
    "course_overviews_courseoverview": "SELECT",
    "program_enrollments_courseaccessroleassignment": "SELECT, INSERT, DELETE",
    "program_enrollments_historicalprogramcourseenrollment": (
        "INSERT, SELECT (id, status, course_enrollment_id, history_id, history_date, history_type, history_user_id)"
    ),
    "program_enrollments_historicalprogramenrollment": (
        "INSERT, SELECT (id, external_user_key, curriculum_uuid, status, user_id,"
        " history_id, history_date, history_type, history_user_id)"
    ),
    "program_enrollments_programcourseenrollment": "SELECT, INSERT, UPDATE (course_enrollment_id, modified, status)",
    "program_enrollments_programenrollment": "SELECT, INSERT, UPDATE (user_id, modified, status)",
    "student_courseaccessrole": "SELECT, INSERT, DELETE",
    "student_courseenrollment": "SELECT, INSERT, UPDATE (is_active, mode)",
    "student_courseenrollment_history": (
        "INSERT, SELECT (id, mode, is_active, history_date, history_type, history_user_id)"
    ),
}

SEQUENCES = """\
DO $grants$
DECLARE
    ids regclass;
BEGIN
    FOR ids IN
        SELECT DISTINCT used.refobjid
        FROM pg_attrdef AS filled
        JOIN pg_depend AS used ON used.classid = 'pg_attrdef'::regclass AND used.objid = filled.oid
        JOIN pg_class AS found ON used.refclassid = 'pg_class'::regclass AND used.refobjid = found.oid
        WHERE found.relkind = 'S' AND filled.adrelid = ANY ('{{{tables}}}'::regclass[])
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', ids, '{role}');
    END LOOP;
END $grants$;
"""

# An LMS without single sign-on has no such table.
IDENTITIES = """\
DO $grants$
BEGIN
    IF to_regclass('social_auth_usersocialauth') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT (provider, uid, user_id) ON social_auth_usersocialauth TO %I', '{role}');
    END IF;
END $grants$;
"""


def grants(role: str, database: str) -> str:
    """The SQL that gives a role what linking needs in that database, whose schema is Django's: public."""
    privileges = {
        f"DATABASE {quoted(database)}": "CONNECT",
        "SCHEMA public": "USAGE",
        **{f"TABLE {table}": privilege for table, privilege in PRIVILEGES.items()},
    }
    inserted = ",".join(table for table, privilege in PRIVILEGES.items() if "INSERT" in privilege)
    literal = role.replace("'", "''")
    return "".join(
        [
            *(f"GRANT {privilege} ON {what} TO {quoted(role)};\n" for what, privilege in privileges.items()),
            SEQUENCES.format(tables=inserted, role=literal),
            IDENTITIES.format(role=literal),
        ]
    )


def make_role(connection: Connection, role: str, database: str, seconds: float = LONGEST_SECONDS) -> None:
    """Make the role in a database of the service's own on RDS, where it logs in with IAM; safe to repeat."""
    session = Session(connection, time.monotonic() + seconds)
    with session.transaction():
        if not session.query("SELECT true FROM pg_roles WHERE rolname = :role", role=role):
            session.script(f"CREATE ROLE {quoted(role)} LOGIN")
        session.script(
            f"GRANT rds_iam TO {quoted(role)};"
            f"REVOKE TEMPORARY ON DATABASE {quoted(database)} FROM PUBLIC;"
            f"{grants(role, database)}"
        )


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"{}"'.format(name.replace('"', '""'))


def main() -> int:
    """Print the grants for a role in the database that PGDATABASE names; return the exit status."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the role
        sys.stderr.write("usage: python -m program_enrollments.grants ROLE\n")
        return 2
    role = sys.argv[1]
    sys.stdout.write(
        f"-- First the role: CREATE ROLE {quoted(role)} LOGIN PASSWORD '...';\n"
        f"-- or, to log in with IAM on RDS: CREATE ROLE {quoted(role)} LOGIN; GRANT rds_iam TO {quoted(role)};\n"
        f"{grants(role, os.environ.get('PGDATABASE') or DATABASE)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
