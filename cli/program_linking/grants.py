"""`program-linking grants`."""

import os
from typing import Annotated

import typer

from program_enrollments import grants as core
from program_linking.stopped import Stopped
from program_linking.streams import write

EXAMPLE = "Example: program-linking grants linking | psql -h localhost openedx"


def grants(role: Annotated[str, typer.Argument(help="The role that the service connects as.")]) -> None:
    """Print the SQL that gives a role what the service needs in the database that PGDATABASE names, and no more."""
    database = os.environ.get("PGDATABASE") or core.DATABASE
    for name, what in (role, "role"), (database, "database"):
        if not name or not name.isprintable():
            raise Stopped(f"'{name}' is not the name of a {what}.")
    write([core.grants(role, database)])
