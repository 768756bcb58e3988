"""A database of its own for each test: cloned from a template, or emptied if the test before it left only rows."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pg8000.native import Connection

from program_enrollments import ProgramEnrollmentsError, connect
from program_enrollments.postgres.session import close

# More than this is not worth emptying, and would slow down the tests to come.
MOST_BYTES = 2_000_000
# The catalogs, in which all but rows is a row; each with a number that no change leaves as it was: the sum of the
# transactions that wrote the rows, without those that initdb wrote, which have no number. Large ones are left out whose
# rows no test writes without writing others.
CATALOGS = """
SELECT string_agg(format(
    'SELECT count(*) * (1 + age(''1000''::xid)::bigint) - sum(age(xmin)) AS version FROM %s'
    ' WHERE age(xmin) < 2147483647', oid::regclass
), ' UNION ALL ')
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace AND NOT relisshared
AND relname NOT IN ('pg_amop', 'pg_amproc', 'pg_collation', 'pg_depend', 'pg_description', 'pg_operator')
"""
# As a superuser's own replication would, without a look at foreign keys.
DELETE_ALL = """
SELECT 'SET session_replication_role = replica;'
    || string_agg(format('DELETE FROM %s;', oid::regclass), '' ORDER BY oid)
    || 'RESET session_replication_role; SELECT setval(seqrelid, seqstart, false) FROM pg_sequence'
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid != pg_backend_pid()
"""
BYTES = "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
SETTINGS = (
    "SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase WHERE datname = current_database()"
)


@dataclass
class Database:
    """A test worker's database, which the superuser's PG* variables name."""

    name: str
    template: str
    administrator: Callable[[str], list[list[Any]]]
    version: object = field(default=None, init=False)

    def open(self) -> Connection:
        """Connect to it when it is as the template is, and nobody else is connected."""
        with suppress(ProgramEnrollmentsError):
            connection = connect()
            if self._is_emptied(connection):
                return connection
            close(connection)
        self._clone()
        connection = connect()
        self.version = self.version or _version(connection)
        return connection

    def _is_emptied(self, connection: Connection) -> bool:
        connection.run(END_OTHERS)
        if connection.run(BYTES)[0][0] > MOST_BYTES or _version(connection) != self.version:
            return False
        connection.run(connection.run(DELETE_ALL)[0][0])
        return True

    def _clone(self) -> None:
        [[version]] = self.administrator("SHOW server_version_num")
        strategy = "STRATEGY FILE_COPY" if int(version) >= 150_000 else ""  # the quickest; PostgreSQL 14 has no other
        self.administrator(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        self.administrator(f"CREATE DATABASE {self.name} TEMPLATE {self.template} {strategy}")


def _version(connection: Connection) -> list[list[Any]]:
    [[catalogs]] = connection.run(CATALOGS)
    return list(connection.run(f"SELECT sum(version), ({SETTINGS}) FROM ({catalogs}) AS each_catalog"))
