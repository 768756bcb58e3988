"""Which PostgreSQL to try things out on: an embedded one or, with SERVER=own, the one that the PG* variables name."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pg8000.native import Connection

from local.postgres import ClusterFailed, embedded_cluster
from program_enrollments import ProgramEnrollmentsError, connect

# What may lead to somebody's database or AWS account, and what keeps the AWS SDK from looking for one elsewhere.
LEADING_AWAY = ("AWS_", "DB_", "PG", "PROGRAM_LINKING_")
NO_ACCOUNT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
# The databases that a new server has, and those that tests and benchmarks make.
HARMLESS_DATABASES = ("postgres", "template0", "template1")
PREFIX = "program_linking_"


class Refused(Exception):
    """A server or a setting that is not used, with one sentence that says why."""


@contextmanager
def failing_in_a_sentence() -> Iterator[None]:
    """End the program with one sentence, and exit status 1, if there is no server to use."""
    try:
        yield
    except (Refused, ClusterFailed, ProgramEnrollmentsError) as error:
        sys.exit(str(error))


def is_own() -> bool:
    """Whether SERVER=own asks for the server that PG* name; raise `Refused` for any other value."""
    server = os.environ.get("SERVER", "")
    if server not in {"", "own"}:
        raise Refused(f"SERVER={server} is not known: use SERVER=own for the server that PG* name, or leave it out.")
    return server == "own"


def forget_surroundings() -> None:
    """Take all variables out of the environment that may lead to a database or an AWS account; keep PG* if asked to."""
    kept = "PG" if is_own() else None
    for name in list(os.environ):
        if name.startswith(LEADING_AWAY) and not (kept and name.startswith(kept)):
            del os.environ[name]
    os.environ |= NO_ACCOUNT


@contextmanager
def spare_server() -> Iterator[dict[str, str]]:
    """The PG* variables of a server to make and drop databases and roles in.

    Raise `Refused` if that is a server of one's own which has anything in it.
    """
    if is_own():
        with connect() as connection:
            refuse_databases(connection)
            [[user, database]] = connection.run("SELECT current_user, current_database()")
        named = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        yield {"PGHOST": "localhost", "PGPORT": "5432", "PGUSER": user, "PGDATABASE": database} | named
        return
    with embedded_cluster() as cluster:
        yield cluster.environment


def refuse_databases(connection: Connection) -> None:
    """Raise `Refused` if the server has databases, or the connection's database tables, that nobody here made."""
    names = [name for (name,) in connection.run("SELECT datname FROM pg_database ORDER BY 1")]
    strange = [name for name in names if name not in HARMLESS_DATABASES and not name.startswith(PREFIX)]
    if count_tables(connection):
        strange.append(place(connection))
    if strange:
        raise Refused(
            f"The server of {place(connection)} is in use ({', '.join(strange)}), and databases and roles would be made"
            " and dropped there: name an empty one, or leave SERVER=own out."
        )


def count_tables(connection: Connection) -> int:
    """How many tables the connection's database has."""
    [[count]] = connection.run(
        "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    return int(count)


def place(connection: Connection) -> str:
    """The connection's database, as a person would name it: user@host:port/database."""
    [[user, database]] = connection.run("SELECT current_user, current_database()")
    host, port = os.environ.get("PGHOST") or "localhost", os.environ.get("PGPORT") or "5432"
    return f"{user}@{host}:{port}/{database}"
