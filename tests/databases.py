"""A database of its own for each test: cloned from a template, or emptied if the test before it left only rows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from program_enrollments import connect
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
# PostgreSQL's own way to wait for their end goes in steps of 100 ms.
END_OTHERS = """
DO $$ BEGIN
    WHILE EXISTS (
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid != pg_backend_pid()
    ) LOOP
        PERFORM pg_sleep(0.001), pg_stat_clear_snapshot();
    END LOOP;
END $$
"""
BYTES = "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
SETTINGS = (
    "SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase WHERE datname = current_database()"
)


@dataclass
class Database:
    """A test worker's database, which the superuser's PG* variables name, and the session in it that all tests share.

    A session that was used before knows the catalogs, which costs a new one longer than most tests take.
    """

    name: str
    template: str
    administrator: Callable[[str], list[list[Any]]]
    session: Connection | None = field(default=None, init=False)
    catalogs: str = field(default="", init=False)
    version: object = field(default=None, init=False)
    delete_all: str = field(default="", init=False)

    def open(self) -> Connection:
        """The session, as new, in the database as the template is; nobody else is connected to it."""
        if self.session and self._is_emptied(self.session):
            return self.session
        self.close()
        self._clone()
        self.session = connect()
        if not self.version:
            [[self.catalogs]] = self.session.run(CATALOGS)
            [[self.delete_all]] = self.session.run(DELETE_ALL)
            self.version = self._version(self.session)
        return self.session

    def close(self) -> None:
        """End the session, which may be broken."""
        if self.session:
            close(self.session)
            self.session = None

    def _is_emptied(self, session: Connection) -> bool:
        try:
            session.run("ROLLBACK")
            session.run("DISCARD ALL")
            session.run(END_OTHERS)
            if session.run(BYTES)[0][0] > MOST_BYTES or self._version(session) != self.version:
                return False
            session.run(self.delete_all)
        except (DatabaseError, InterfaceError, OSError):
            return False
        return True

    def _clone(self) -> None:
        [[version]] = self.administrator("SHOW server_version_num")
        strategy = "STRATEGY FILE_COPY" if int(version) >= 150_000 else ""  # the quickest; PostgreSQL 14 has no other
        self.administrator(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        self.administrator(f"CREATE DATABASE {self.name} TEMPLATE {self.template} {strategy}")

    def _version(self, session: Connection) -> list[list[Any]]:
        return list(session.run(f"SELECT sum(version), ({SETTINGS}) FROM ({self.catalogs}) AS each_catalog"))
