"""Make the schema of a database that the stack owns, and the role that linking works as. Run after each deployment.

The payload is the secret that RDS keeps for the database's master user. Whoever may read it passes it on, so that
nothing that stands in the account can act as the master user.
"""

import os
import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.connection import seconds_for_work
from program_enrollments import DatabaseNotReady
from program_enrollments.grants import make_role
from program_enrollments.migrate import migrate
from program_enrollments.postgres.connect import connected


class InvalidRequest(Exception):
    """The payload is not what it must be."""


def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Migrate the database, and give the service's role what linking needs; safe to repeat.

    Raise `InvalidRequest` if the payload holds no user and password, `LinkingUnavailable` if the database is out of
    reach or does not get done before the invocation ends, and `DatabaseNotReady` if a setting is missing.
    """
    deadline = time.monotonic() + seconds_for_work(context)
    user, password = _secret(event)
    role, database = _setting("SERVICE_ROLE"), _setting("PGDATABASE")
    with connected(user, password, deadline - time.monotonic()) as connection:
        migrations = migrate(connection, deadline - time.monotonic())
        make_role(connection, role, database, deadline - time.monotonic())
    return {"migrations": migrations, "role": role}


def _secret(event: object) -> tuple[str, str]:
    match event:
        case {"username": str(user), "password": str(password)}:
            return user, password
    raise InvalidRequest("The payload must be the secret of the database's master user: username and password.")


def _setting(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise DatabaseNotReady(f"{name} is not set, and says what to migrate.")
    return value
