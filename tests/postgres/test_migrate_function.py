"""The function that makes the schema of a database that the stack owns."""

import time
from collections.abc import Callable, Iterator

import pytest
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

from functions.migrate.app import InvalidRequest, lambda_handler
from local.invocation import invocation
from local.lms import Lms
from program_enrollments import DatabaseNotReady, LinkingUnavailable, check_database, connect, link_program_enrollments
from program_enrollments.migrate import MIGRATION_LOCK

MIGRATED = {"migrations": ["0001_open_edx_tables.sql"], "role": "linker"}


@pytest.fixture
def own_database(
    server: dict[str, str], administrator: Callable[[str], None], worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    """A new database as RDS makes it, which the PG* variables name; its master's session."""
    name = f"program_linking_own_{worker_id}"
    administrator("SELECT pg_advisory_lock(hashtext('rds_iam'))")  # roles are those of the whole server
    administrator(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    administrator("DROP ROLE IF EXISTS linker; DROP ROLE IF EXISTS rds_iam; CREATE ROLE rds_iam")
    administrator(f"CREATE DATABASE {name}")
    for variable, value in (server | {"PGDATABASE": name, "SERVICE_ROLE": "linker"}).items():
        monkeypatch.setenv(variable, value)
    with connect() as connection:
        yield connection
    administrator(f"DROP DATABASE {name} WITH (FORCE)")
    administrator("DROP ROLE IF EXISTS linker; DROP ROLE rds_iam; SELECT pg_advisory_unlock(hashtext('rds_iam'))")


@pytest.fixture
def master(server: dict[str, str]) -> dict[str, str]:
    """The secret of the master user, as RDS keeps it."""
    return {"username": server.get("PGUSER", "postgres"), "password": server.get("PGPASSWORD", "-")}


def test_makes_schema_and_role(
    own_database: Connection, master: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it, also when it ran twice, the service's role links, logs in with IAM, and makes no table of its own."""
    monkeypatch.setenv("PGUSER", "nobody")  # the secret says who
    assert lambda_handler(master, invocation()) == MIGRATED
    assert lambda_handler(master, invocation()) == MIGRATED
    lms = Lms(own_database)
    user = lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    own_database.run("ALTER ROLE linker PASSWORD 'not IAM here'")
    own_database.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # which PostgreSQL 14 gives to everybody
    with connect("linker", "not IAM here") as connection:
        check_database(connection)
        outcome = link_program_enrollments(connection, "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10", {"student-001": "alice"})
        with pytest.raises(DatabaseError, match="permission denied"):
            connection.run("CREATE TABLE mine (id integer)")
        with pytest.raises(DatabaseError, match="permission denied"):
            connection.run("CREATE TEMPORARY TABLE mine (id integer)")
    assert outcome.linked == 1
    assert lms.rows("student_courseenrollment", "user_id, mode") == [[user, "masters"]]
    assert lms.run("SELECT pg_has_role('linker', 'rds_iam', 'member')") == [[True]]


def test_says_why_it_cannot(own_database: Connection, master: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database does not let it in, it raises and names the database."""
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    with pytest.raises(LinkingUnavailable, match='"elsewhere" does not exist'):
        lambda_handler(master, invocation())


@pytest.mark.parametrize("payload", [{}, {"username": "postgres"}, {"username": 1, "password": None}, [], None, "x"])
def test_a_payload_without_a_secret_is_refused(payload: object) -> None:
    """A payload that is no secret is refused in one sentence."""
    with pytest.raises(InvalidRequest, match=r"^The payload must be the secret of .* username and password\.$"):
        lambda_handler(payload, invocation())


@pytest.mark.parametrize("name", ["SERVICE_ROLE", "PGDATABASE"])
def test_a_missing_setting_is_named(
    own_database: Connection, master: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A setting that the template should have made is named where it is missing."""
    monkeypatch.delenv(name)
    with pytest.raises(DatabaseNotReady, match=f"^{name} is not set"):
        lambda_handler(master, invocation())


@pytest.mark.slow
def test_ends_before_the_invocation(own_database: Connection, master: dict[str, str]) -> None:
    """A migration that waits for a lock is given up before Lambda ends it, with nothing changed."""
    own_database.run(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
    started = time.monotonic()
    with pytest.raises(LinkingUnavailable, match="nothing was changed"):
        lambda_handler(master, invocation(3_000))
    assert time.monotonic() - started < 3
    assert own_database.run("SELECT to_regclass('auth_user')::text") == [[None]]
