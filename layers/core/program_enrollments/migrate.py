"""Bring a database to the current schema: `python -m program_enrollments.migrate`, with libpq's PG* variables."""

import sys
import time
from importlib.resources import files

from program_enrollments.errors import Contention, DatabaseNotReady, LinkingUnavailable, Refused
from program_enrollments.postgres.connect import connected
from program_enrollments.postgres.session import Connection, Session

# Two migrations at once would race for the same tables; any number will do, as long as nobody else has it.
MIGRATION_LOCK = 7_204_117_563
LONGEST_SECONDS = 600.0


def migrate(connection: Connection, seconds: float = LONGEST_SECONDS) -> list[str]:
    """Run all migrations, in the order of their names, in one transaction; return the names.

    Each migration makes only what is missing, so that running them again changes nothing, and tables that Open edX made
    stay as they are. It takes at most so many seconds. The connection must not be in a transaction.
    """
    migrations = sorted(files(__package__).joinpath("migrations").iterdir(), key=lambda file: file.name)
    session = Session(connection, time.monotonic() + seconds)
    with session.transaction():
        session.script(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        for migration in migrations:
            session.script(migration.read_text(encoding="utf-8"))
    return [migration.name for migration in migrations]


def main() -> int:
    """Migrate the database that the PG* variables name; return the exit status."""
    try:
        with connected() as connection:
            names = migrate(connection)
    except (LinkingUnavailable, DatabaseNotReady, Contention, Refused) as error:
        sys.stderr.write(f"{error}\nFix that, and migrate again: nothing is half done.\n")
        return 2
    sys.stdout.writelines(f"{name}: in place\n" for name in names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
