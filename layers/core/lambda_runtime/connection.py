"""Where the database is and how to get in; the connection that stays open between invocations."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from program_enrollments import DatabaseNotReady, LinkingUnavailable, WrongPassword, check_database, connect
from program_enrollments.postgres.session import Connection, close

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

# A secret is good until the server refuses it.
SECRET_SECONDS = 86_400
# Secrets Manager answers in some ten milliseconds; where no way leads to it, that has to be told before time is over.
SECRETS_MANAGER_SECONDS = 3
TOKEN_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the database is, in libpq's variables, and how to get in, where that is not by their password."""

    libpq: frozenset[tuple[str, str]]
    secret_arn: str | None
    iam_auth: bool

    @classmethod
    def from_env(cls) -> "Settings":
        """Read PG*, DB_SECRET_ARN and DB_IAM_AUTH."""
        libpq = frozenset((name, value) for name, value in os.environ.items() if name.startswith("PG"))
        iam_auth = os.environ.get("DB_IAM_AUTH", "").lower() == "true"
        return cls(libpq, os.environ.get("DB_SECRET_ARN") or None, iam_auth)


_warm: dict[Settings, Connection] = {}


@contextmanager
def warm_connection(deadline: float) -> Iterator[Connection]:
    """The connection of the last invocation, or a new one. It is kept only where nothing at all went wrong with it.

    The deadline is on the monotonic clock. A connection that was made with other settings is closed.
    """
    settings = Settings.from_env()
    kept = _warm.pop(settings, None)
    forget_connection()
    connection = kept or _connect(settings, deadline)
    try:
        if kept is None:
            check_database(connection, deadline - time.monotonic())
        yield connection
    except BaseException:
        close(connection)
        raise
    _warm[settings] = connection


def forget_connection() -> None:
    """Close the connection that stayed open, if there is one."""
    while _warm:
        close(_warm.popitem()[1])


def _connect(settings: Settings, deadline: float) -> Connection:
    try:
        return _connect_as_told(settings, deadline)
    except WrongPassword as error:
        # Lambda tells a caller the name of the exception, and LinkingUnavailable is the one that is documented.
        raise LinkingUnavailable(str(error)) from error


def _connect_as_told(settings: Settings, deadline: float) -> Connection:
    if settings.iam_auth:
        return connect(password=_iam_token(), timeout=deadline - time.monotonic())
    if settings.secret_arn is None:
        return connect(timeout=deadline - time.monotonic())
    try:
        return connect(**_secret(settings.secret_arn), timeout=deadline - time.monotonic())
    except WrongPassword:
        # The secret was rotated since it was fetched.
        return connect(**_secret(settings.secret_arn, force_fetch=True), timeout=deadline - time.monotonic())


def _secret(arn: str, *, force_fetch: bool = False) -> dict[str, Any]:
    from aws_lambda_powertools.utilities.parameters import GetParameterError  # noqa: PLC0415 - see _secrets

    try:
        secret = _secrets().get(arn, max_age=SECRET_SECONDS, transform="json", force_fetch=force_fetch)
    except GetParameterError as error:
        raise LinkingUnavailable("The database's secret cannot be fetched; nothing was changed.") from error
    match secret:
        case {"username": str(user), "password": str(password)}:
            return {"user": user, "password": password}
    raise DatabaseNotReady(f"The secret {arn} holds no username and password.")


@cache
def _secrets() -> "SecretsProvider":
    # boto3 costs a cold start half a second: it is imported only where a secret is configured.
    from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(
        connect_timeout=SECRETS_MANAGER_SECONDS,
        read_timeout=SECRETS_MANAGER_SECONDS,
        retries={"total_max_attempts": 2},
    )
    return SecretsProvider(boto_config=patience)


def _iam_token() -> str:
    """Sign a token as boto3's RDS client does, in three quarters of the time that its import takes."""
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415 - likewise only where it is needed
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    session = Session()
    if (credentials := session.get_credentials()) is None:
        raise DatabaseNotReady("DB_IAM_AUTH needs AWS credentials, and there are none.")
    url = f"https://{os.environ['PGHOST']}:{os.environ.get('PGPORT') or 5432}/"
    request = AWSRequest("GET", url, params={"Action": "connect", "DBUser": os.environ["PGUSER"]})
    region = session.get_config_variable("region")
    SigV4QueryAuth(credentials, "rds-db", region, expires=TOKEN_SECONDS).add_auth(request)
    return str(request.url).removeprefix("https://")
