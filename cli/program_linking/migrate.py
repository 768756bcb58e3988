"""`program-linking migrate`."""

from program_enrollments import migrate as core
from program_enrollments.postgres.connect import connected
from program_linking.streams import write

EXAMPLE = "Example: PGHOST=localhost PGDATABASE=linking program-linking migrate"


def migrate() -> None:
    """Bring the database that the PG* variables name to the current schema.

    It may be empty or older; tables that Open edX made stay as they are. Doing it again changes nothing.
    """
    with connected() as connection:
        names = core.migrate(connection)
    write(f"{name}: in place\n" for name in names)
