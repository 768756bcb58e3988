"""Make the schema of a database that the stack owns, and the role that linking works as. Run after each deployment.

The payload is the secret that RDS keeps for the database's master user. Whoever may read it passes it on, so that
nothing that stands in the account can act as the master user.
"""

import os
from collections.abc import Mapping
from typing import Any

from program_enrollments.grants import make_role
from program_enrollments.migrate import migrate
from program_enrollments.postgres.connect import connected


def lambda_handler(event: Mapping[str, str], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    """Migrate the database, and give the service's role what linking needs; safe to repeat."""
    with connected(event["username"], event["password"]) as connection:
        migrations = migrate(connection)
        make_role(connection, os.environ["SERVICE_ROLE"], os.environ["PGDATABASE"])
    return {"migrations": migrations, "role": os.environ["SERVICE_ROLE"]}
