"""Where the database is and how to get in; the connection that stays open between invocations."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.observability import report_recovery
from program_enrollments import (
    ConnectionLost,
    DatabaseNotReady,
    LinkingUnavailable,
    WrongPassword,
    check_database,
    connect,
)
from program_enrollments.postgres.session import Connection, close

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

# A secret is good until the server refuses it.
SECRET_SECONDS = 86_400
# Secrets Manager answers in some ten milliseconds; if no way leads to it, that has to be reported before time is over.
SECRETS_MANAGER_SECONDS = 3
TOKEN_SECONDS = 900
# What is kept of the remaining time for the rollback, the answer and the log; less if there is little time at all.
RESERVED_SECONDS = 1.0


class Settings(NamedTuple):
    """Where the database is, in libpq's variables, and how to get in, if that is not by their password."""

    libpq: frozenset[tuple[str, str]]
    secret_arn: str | None
    iam_auth: bool

    @classmethod
    def from_env(cls) -> "Settings":
        """Read PG*, DB_SECRET_ARN and DB_IAM_AUTH."""
        libpq = frozenset((name, value) for name, value in os.environ.items() if name.startswith("PG"))
        return cls(libpq, os.environ.get("DB_SECRET_ARN") or None, _is_iam_auth())


def _is_iam_auth() -> bool:
    said = os.environ.get("DB_IAM_AUTH") or "false"
    if (is_so := {"true": True, "false": False}.get(said.lower())) is None:
        raise DatabaseNotReady(f"DB_IAM_AUTH={said} is not known: use true or false.")
    return is_so


class _Retries(logging.Handler):
    """Report each transaction that the core does again."""

    def emit(self, record: logging.LogRecord) -> None:
        report_recovery("Retries", "The batch was rolled back and is tried again", record.getMessage())


logging.getLogger("program_enrollments.retries").handlers = [_Retries()]

_warm: dict[Settings, Connection] = {}


def on_connection[T](context: LambdaContext, work: Callable[[Connection, float], T]) -> T:
    """Do what takes a connection and a deadline; if the connection turns out to be of no use, once more on a new one.

    The deadline is on the monotonic clock, some time before the invocation's end. Raise `LinkingUnavailable` if the
    database is out of reach or out of time or failed twice, and `DatabaseNotReady` if it is not fit for the service.
    """
    deadline = time.monotonic() + seconds_for_work(context)
    try:
        return _on_warm_connection(deadline, work)
    except ConnectionLost as error:
        report_recovery("Reconnects", "The connection failed; once more on a new one", str(error))
    try:
        return _on_warm_connection(deadline, work)
    except ConnectionLost as error:
        message = "The connection to the database was lost twice; nothing was changed. The last reason"
        raise LinkingUnavailable(f"{message}: {error}.") from error


def _on_warm_connection[T](deadline: float, work: Callable[[Connection, float], T]) -> T:
    with warm_connection(deadline) as connection:
        return work(connection, deadline)


def seconds_for_work(context: LambdaContext) -> float:
    """How long the work of an invocation may take, so that there is time to undo it and to answer."""
    seconds = context.get_remaining_time_in_millis() / 1000
    return seconds - min(RESERVED_SECONDS, seconds / 2)


@contextmanager
def warm_connection(deadline: float) -> Iterator[Connection]:
    """The connection of the last invocation, or a new one. It is kept only if nothing at all went wrong with it.

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
        # Lambda reports the name of the exception to a caller, and LinkingUnavailable is the one that is documented.
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
    try:
        secret = _secrets().get(arn, max_age=SECRET_SECONDS, transform="json", force_fetch=force_fetch)
    except Exception as error:  # whatever Powertools and boto3 raise: the name, the region, the credentials, the text
        raise LinkingUnavailable(
            f"The database's secret cannot be fetched: {_kind(error)}. Look at DB_SECRET_ARN, and at the role and the"
            " network of the function. Nothing was changed."
        ) from error
    match secret:
        case {"username": str(user), "password": str(password)}:
            return {"user": user, "password": password}
    raise DatabaseNotReady(f"The secret {arn} holds no username and password.")


def _kind(error: BaseException) -> str:
    """What AWS calls the first cause of an error: what it says of it may be more than a caller is to know."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


@cache
def _secrets() -> "SecretsProvider":
    # boto3 costs a cold start half a second: it is imported only if a secret is configured.
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
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - likewise only if it is needed

    try:
        return _signed_token()
    except BotoCoreError as error:
        raise DatabaseNotReady(f"DB_IAM_AUTH needs AWS credentials, and they are not fit: {_kind(error)}.") from error


def _signed_token() -> str:
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415 - likewise
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    session = Session()
    if (credentials := session.get_credentials()) is None:
        raise DatabaseNotReady("DB_IAM_AUTH needs AWS credentials, and there are none.")
    if (region := session.get_config_variable("region")) is None:
        raise DatabaseNotReady("DB_IAM_AUTH needs a region: set AWS_REGION or AWS_DEFAULT_REGION.")
    if missing := [name for name in ("PGHOST", "PGUSER") if not os.environ.get(name)]:
        raise DatabaseNotReady(f"DB_IAM_AUTH needs {' and '.join(missing)}: set {'them' if missing[1:] else 'it'}.")
    url = f"https://{os.environ['PGHOST']}:{os.environ.get('PGPORT') or 5432}/"
    request = AWSRequest("GET", url, params={"Action": "connect", "DBUser": os.environ["PGUSER"]})
    SigV4QueryAuth(credentials, "rds-db", region, expires=TOKEN_SECONDS).add_auth(request)
    return str(request.url).removeprefix("https://")
