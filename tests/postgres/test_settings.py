"""How the service gets into its database: a password, a secret that is rotated, an RDS IAM token."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pg8000.native import Connection

from functions.link.app import lambda_handler
from lambda_runtime.connection import _secrets, forget_connection
from local.invocation import invocation
from local.lms import Lms
from local.postgres import NOT_DURABLE, Cluster, embedded_cluster
from program_enrollments import DatabaseNotReady, LinkingUnavailable, connect
from program_enrollments.migrate import migrate
from tests.support import Invoke, load_event

SOCKETS = tempfile.gettempdir()
LINKED_NONE = {"student-001": "user-not-found", "student-002": "user-not-found"}


@dataclass(frozen=True)
class Vault:
    """A secret in Secrets Manager, and the database that it opens."""

    secrets: Any
    arn: str
    administrator: Connection
    caplog: pytest.LogCaptureFixture

    def rotate(self, *, server: str, secret: str) -> None:
        """Give the server and the secret a new password each."""
        self.administrator.run(f"ALTER ROLE linker PASSWORD '{server}'")
        self.store(json.dumps({"username": "linker", "password": secret}))

    def store(self, secret: str) -> None:
        """Give the secret a new text."""
        self.secrets.put_secret_value(SecretId=self.arn, SecretString=secret)

    @property
    def fetched(self) -> int:
        """How often Secrets Manager was asked for the secret."""
        return sum("OperationModel(name=GetSecretValue)" in message for message in self.caplog.messages)


@pytest.fixture(scope="module")
def guarded_cluster() -> Iterator[Cluster]:
    """A server that trusts only its superuser; the role `linker` needs a password."""
    rules = ("host all postgres all trust", "host all all all scram-sha-256")
    with embedded_cluster(settings=(*NOT_DURABLE, f"unix_socket_directories={SOCKETS}"), rules=rules) as cluster:
        yield cluster


@pytest.fixture
def guarded(guarded_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The superuser's session in that server, to which the PG* variables lead."""
    for name, value in guarded_cluster.environment.items():
        monkeypatch.setenv(name, value)
    with connect() as administrator:
        migrate(administrator)
        administrator.run("CREATE ROLE linker SUPERUSER LOGIN")
        yield administrator
        administrator.run("DROP ROLE linker")


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No connection is open yet, and none is left open."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    forget_connection()
    yield
    forget_connection()


@pytest.fixture
def vault(
    guarded: Connection, cold: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Vault]:
    """A secret that opens the database, and that DB_SECRET_ARN names."""
    caplog.set_level("DEBUG", logger="botocore.endpoint")
    with mock_aws():
        secrets = boto3.client("secretsmanager")
        arn = secrets.create_secret(Name="database", SecretString="{}")["ARN"]
        monkeypatch.setenv("DB_SECRET_ARN", arn)
        monkeypatch.delenv("PGUSER", raising=False)
        vault = Vault(secrets, arn, guarded, caplog)
        vault.rotate(server="red-horse", secret="red-horse")  # noqa: S106 - of a server that is thrown away
        yield vault


def link_cold() -> dict[str, Any]:
    """Invoke the Lambda directly, on a new connection."""
    forget_connection()
    return lambda_handler(load_event("direct-link"), invocation())


def users(guarded: Connection) -> list[list[str]]:
    """As whom the service is connected."""
    return list(
        guarded.run(
            "SELECT usename FROM pg_stat_activity WHERE pid != pg_backend_pid() AND backend_type = 'client backend'"
        )
    )


def test_password(guarded: Connection, cold: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """PGUSER and PGPASSWORD open the database."""
    guarded.run("ALTER ROLE linker PASSWORD 'of-the-environment'")
    monkeypatch.setenv("PGUSER", "linker")
    monkeypatch.setenv("PGPASSWORD", "of-the-environment")
    monkeypatch.setenv("PGDATABASE", "postgres")
    assert link_cold()["error_codes"] == LINKED_NONE
    assert users(guarded) == [["linker"]]


def test_nothing_said(guarded: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PGHOST, PGUSER and PGDATABASE, the database `postgres` on this machine is meant, and its superuser."""
    for variable in ("PGHOST", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(variable)
    with connect() as connection:
        assert connection.run("SELECT current_user::text, current_database()::text") == [["postgres", "postgres"]]


def test_socket_file(guarded: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PGHOST that is a folder leads to the server's socket in there."""
    monkeypatch.setenv("PGHOST", SOCKETS)
    with connect() as connection:
        assert connection.run("SELECT inet_server_addr() IS NULL") == [[True]]


def test_name_for_the_server(lms: Lms) -> None:
    """Who looks at the server's sessions sees which ones are the service's."""
    with connect() as connection:
        assert connection.run("SHOW application_name") == [["program-linking"]]


def test_cut_between_invocations(lms: Lms, invoke: Invoke, other_session: Connection) -> None:
    """A connection that was cut since the last invocation costs a new one, and no error."""
    nobody = {"student-001": "user-not-found"}
    assert invoke({"student-001": "alice"})["error_codes"] == nobody
    cut = other_session.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename LIKE 'program_linking_service_%'"
    )
    assert cut == [[True]]
    assert invoke({"student-001": "alice"})["error_codes"] == nobody


def test_missing_database(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password counts as wrong, and is fetched again, only if the server refuses the user or the password."""
    monkeypatch.setenv("PGDATABASE", "no_such_database")
    with pytest.raises(LinkingUnavailable, match=r': database "no_such_database" does not exist[.]') as caught:
        connect()
    assert caught.type is LinkingUnavailable


def test_secret(vault: Vault) -> None:
    """User and password come from the secret, which is fetched once for any number of connections."""
    assert link_cold()["error_codes"] == LINKED_NONE
    assert users(vault.administrator) == [["linker"]]
    assert link_cold()["error_codes"] == LINKED_NONE
    assert vault.fetched == 1


def test_rotated_secret(vault: Vault) -> None:
    """After a rotation the secret is fetched once more, and the caller notices nothing."""
    link_cold()
    vault.rotate(server="blue-horse", secret="blue-horse")  # noqa: S106 - of a server that is thrown away
    assert link_cold()["error_codes"] == LINKED_NONE
    assert link_cold()["error_codes"] == LINKED_NONE
    assert vault.fetched == 2


def test_wrong_secret(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    """If the new password is refused too, the secret is not fetched a third time, and no password is shown."""
    link_cold()
    vault.rotate(server="blue-horse", secret="white-horse")  # noqa: S106 - of a server that is thrown away
    with pytest.raises(LinkingUnavailable, match='password authentication failed for user "linker"') as refusal:
        link_cold()
    assert vault.fetched == 2
    # Lambda's errorType is the class's own name.
    assert type(refusal.value) is LinkingUnavailable
    answer = lambda_handler(load_event("api-link"), invocation())
    assert (answer["statusCode"], answer["multiValueHeaders"]["Retry-After"]) == (503, ["5"])
    assert json.loads(answer["body"]) == {"message": str(refusal.value), "details": []}
    shown = f"{refusal.value} {answer} {capsys.readouterr()}"
    assert "horse" not in shown


@pytest.mark.parametrize("secret", ['{"password": "horse"}', '"horse"', "null", '{"username": "linker"}'])
def test_unusable_secret(vault: Vault, secret: str) -> None:
    """A secret without username and password is reported as such, without its text."""
    vault.store(secret)
    with pytest.raises(DatabaseNotReady, match="holds no username and password") as refusal:
        link_cold()
    assert "horse" not in str(refusal.value)


def test_missing_secret(vault: Vault) -> None:
    """If the secret cannot be fetched, linking is unavailable, and of what AWS said only its code is reported."""
    vault.secrets.delete_secret(SecretId=vault.arn, ForceDeleteWithoutRecovery=True)
    with pytest.raises(
        LinkingUnavailable, match=r"^The database's secret .*: ResourceNotFoundException\. Look"
    ) as refusal:
        link_cold()
    assert type(refusal.value) is LinkingUnavailable


def test_silent_secrets_manager(cold: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Secrets Manager that does not answer is given up before Lambda's time is over."""
    monkeypatch.setattr("lambda_runtime.connection.SECRETS_MANAGER_SECONDS", 0.1)
    _secrets.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("DB_SECRET_ARN", "database")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        with pytest.raises(LinkingUnavailable, match="secret cannot be fetched"):
            link_cold()
        assert tries(silent) == 2
    _secrets.cache_clear()


def tries(listener: socket.socket) -> int:
    """How many connections nobody has accepted yet."""
    listener.settimeout(0)
    number = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            number += 1
    return number


IMPORTED = """
import json, sys
from functions.link.app import lambda_handler
from local.invocation import invocation
from tests.support import load_event
try:
    lambda_handler(load_event("direct-link"), invocation())
except Exception as error:
    print(error, file=sys.stderr)
print(json.dumps([name for name in ("boto3", "botocore.auth") if name in sys.modules]))
"""


@pytest.mark.parametrize(
    ("settings_", "imported"),
    [
        ({}, []),
        pytest.param({"DB_IAM_AUTH": "false", "DB_SECRET_ARN": ""}, [], marks=pytest.mark.slow),
        pytest.param({"DB_IAM_AUTH": "true"}, ["botocore.auth"], marks=pytest.mark.slow),
        pytest.param({"DB_SECRET_ARN": "database"}, ["boto3", "botocore.auth"], marks=pytest.mark.slow),
    ],
)
def test_imports(lms: Lms, settings_: dict[str, str], imported: list[str]) -> None:
    """The AWS SDK is imported where a token or a secret is configured, and no more of it than that takes."""
    credentials = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}
    unreachable = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:1", "AWS_DEFAULT_REGION": "eu-west-1"}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | credentials | unreachable | settings_
    run = subprocess.run([sys.executable, "-c", IMPORTED], env=environment, capture_output=True, check=True, text=True)
    assert json.loads(run.stdout.splitlines()[-1]) == imported


def test_port_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt PGPORT is reported as what it is."""
    monkeypatch.setenv("PGPORT", "54e2")
    with pytest.raises(DatabaseNotReady, match=r"^PGPORT=54e2 is no port number\.$"):
        connect()
