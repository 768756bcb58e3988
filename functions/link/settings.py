"""Where the database is and how to get in; the connection that stays open between invocations."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from program_enrollments import WrongPassword, check_database, connect
from program_enrollments.database import Connection

_warm: list[Connection] = []


@dataclass(frozen=True, slots=True)
class Settings:
    """How to get into the database, beside libpq's variables."""

    secret_arn: str | None
    iam_auth: bool

    @classmethod
    def from_env(cls) -> "Settings":
        """Read DB_SECRET_ARN and DB_IAM_AUTH."""
        return cls(os.environ.get("DB_SECRET_ARN") or None, os.environ.get("DB_IAM_AUTH", "").lower() == "true")


@contextmanager
def warm_connection(seconds: float) -> Iterator[Connection]:
    """The connection of the last invocation, or a new one. It is kept only where nothing at all went wrong with it."""
    is_new = not _warm
    connection = _connect(Settings.from_env(), seconds) if is_new else _warm.pop()
    try:
        if is_new:
            check_database(connection, seconds)
        yield connection
    except BaseException:
        _close(connection)
        raise
    _warm.append(connection)


def forget_connection() -> None:
    """Close the connection that stayed open, if there is one."""
    while _warm:
        _close(_warm.pop())


def _close(connection: Connection) -> None:
    with suppress(Exception):  # it may be closed or broken already
        connection.close()


def _connect(settings: Settings, seconds: float) -> Connection:
    if settings.iam_auth:
        return connect(password=_iam_token(), timeout=seconds)
    if settings.secret_arn is None:
        return connect(timeout=seconds)
    try:
        return connect(**_secret(settings.secret_arn), timeout=seconds)
    except WrongPassword:
        # The secret was rotated since it was fetched.
        return connect(**_secret(settings.secret_arn, force_fetch=True), timeout=seconds)


def _secret(arn: str, *, force_fetch: bool = False) -> dict[str, Any]:
    # boto3 costs a cold start 0.3 s, so that it is imported only where a secret is configured.
    from aws_lambda_powertools.utilities import parameters  # noqa: PLC0415

    secret = parameters.get_secret(arn, transform="json", force_fetch=force_fetch)
    return {"user": secret["username"], "password": secret["password"]}


def _iam_token() -> str:
    import boto3  # noqa: PLC0415 - likewise

    host, port, user = os.environ["PGHOST"], int(os.environ.get("PGPORT") or 5432), os.environ["PGUSER"]
    return str(boto3.client("rds").generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user))
