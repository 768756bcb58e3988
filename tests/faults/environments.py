"""Broken environments, and what must be said of each: the table for every door (HTTP, direct invocation, command).

A door's test takes one row at a time: `with row.broken(servers) as variables`, sets those variables (None: unsets),
does one thing that needs the database, and holds that the door says one line that matches `row.says`, in its own way:

- HTTP: 503 or 500 with that message, and an ERROR record whose `reason` it is;
- a direct invocation: `LinkingUnavailable` or `DatabaseNotReady` with that message, and the same record;
- the command: exit status 2, that line on standard error, and no traceback.

That holds for linking, for enrolling, and for reading unless the row is one of `READS`. Rows of `LOGS_IN` are about
what comes after the login. `SLOW` ones take as long as PGCONNECT_TIMEOUT, which is a second at least.

Rows with `aws` are about variables that only the Lambda reads; `servers()` is to be started once for all rows. What
only the command can meet (full disks, closed streams) is in its own tests.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import pytest

from local.postgres import Cluster, embedded_cluster
from program_enrollments import connect
from program_enrollments.migrate import migrate

PASSWORD = "red-horse"  # noqa: S105 - of a server that is thrown away
type Variables = dict[str, str | None]


@dataclass(frozen=True)
class Servers:
    """A server that asks for passwords, with a database `lms` that is ready, and its odd databases and roles."""

    cluster: Cluster

    def environment(self, **changes: str | None) -> Variables:
        """The variables that lead there as a role that can do all, with changes."""
        right = {"PGUSER": "linker", "PGPASSWORD": PASSWORD, "PGDATABASE": "lms"}
        return {**dict.fromkeys(VARIABLES), **self.cluster.environment, **right, **changes}


@dataclass(frozen=True)
class Row:
    """A broken environment, and a regular expression for what is said of it."""

    says: str
    broken: Callable[[Servers], AbstractContextManager[Variables]]
    aws: bool = False


ROLES = f"""
CREATE ROLE linker SUPERUSER LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE reader SUPERUSER LOGIN PASSWORD '{PASSWORD}';
ALTER ROLE reader SET default_transaction_read_only = on;
CREATE ROLE powerless LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'
"""
DATABASES = (
    "CREATE DATABASE lms",
    *(
        f"CREATE DATABASE {name} ENCODING {encoding} LOCALE 'C' TEMPLATE template0"
        for name, encoding in {"plain": "SQL_ASCII", "latin": "LATIN1", "mule": "MULE_INTERNAL"}.items()
    ),
)


def use(variables: Variables, environment: pytest.MonkeyPatch) -> None:
    """Set the variables, and unset those that are None."""
    for name, value in variables.items():
        if value is None:
            environment.delenv(name, raising=False)
        else:
            environment.setenv(name, value)


@contextmanager
def servers() -> Iterator[Servers]:
    """Start the server that the rows lead to, with its roles, and with databases of several encodings."""
    rules = ("host all postgres all trust", "host all stranger all reject", "host all all all scram-sha-256")
    with embedded_cluster(rules=rules) as cluster, pytest.MonkeyPatch.context() as environment:
        use({**dict.fromkeys(VARIABLES, ""), **cluster.environment}, environment)
        with connect() as administrator:
            for statement in (ROLES, *DATABASES):
                administrator.run(statement)
        for name in ("lms", "plain", "latin"):
            environment.setenv("PGDATABASE", name)
            with connect() as administrator:
                migrate(administrator)
        environment.undo()
        yield Servers(cluster)


# All that may lead elsewhere, or otherwise than a row says.
VARIABLES = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"),
    *("PGOPTIONS", "PGSERVICE", "PGCONNECT_TIMEOUT", "DB_SECRET_ARN", "DB_IAM_AUTH"),
    *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)


def _set(says: str, *, aws: bool = False, **changes: str | None) -> Row:
    @contextmanager
    def broken(servers: Servers) -> Iterator[Variables]:
        yield servers.environment(**changes)

    return Row(says, broken, aws)


KEY = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "-", "AWS_DEFAULT_REGION": "eu-west-1"}


def _token(says: str, **changes: str | None) -> Row:
    """A row of DB_IAM_AUTH, with credentials unless it says otherwise."""
    return _set(says, aws=True, **{"DB_IAM_AUTH": "true", **KEY, **changes})


def _behind_port(says: str, greeting: bytes, *, is_open: bool = True, **changes: str | None) -> Row:
    """A port that something else listens at, which sends a greeting to whatever comes."""

    @contextmanager
    def broken(servers: Servers) -> Iterator[Variables]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=_greet, args=(listener, greeting, is_open), daemon=True)
            thread.start()
            yield servers.environment(PGPORT=str(listener.getsockname()[1]), **changes)
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()

    return Row(says, broken)


def _greet(listener: socket.socket, greeting: bytes, is_open: bool) -> None:  # noqa: FBT001
    clients = []
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            clients.append(client)
            with suppress(OSError):
                client.recv(8)
                client.sendall(greeting)
            if not is_open:
                client.close()
    for client in clients:
        client.close()


UNREACHABLE = r"^The database at .* cannot be reached: "
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
MYSQL = b"J\0\0\0\n8.0.40\0" + bytes(66)
SSH = b"SSH-2.0-OpenSSH_10.0\r\n"

ENVIRONMENTS: dict[str, Row] = {
    "password unset": _set(UNREACHABLE + r".*Look at PGPASSWORD, which is not set\.", PGPASSWORD=None),
    "password empty": _set(UNREACHABLE + r".*Look at PGPASSWORD, which is not set\.", PGPASSWORD=""),
    "password wrong": _set(
        UNREACHABLE + r"password authentication failed .* Look at PGUSER and PGPASSWORD\.", PGPASSWORD="x"
    ),
    "password not UTF-8": _set(r"^The password .* is not UTF-8: look at PGPASSWORD", PGPASSWORD="a\udcffb"),
    "user unknown": _set(UNREACHABLE + r".*Look at PGUSER and PGPASSWORD\.", PGUSER="nobody"),
    "user not UTF-8": _set(r"^The user .* is not UTF-8: look at PGUSER", PGUSER="a\udcff"),
    "user not let in": _set(UNREACHABLE + r".*pg_hba\.conf.* Look at PGUSER, PGDATABASE, PGSSLMODE", PGUSER="stranger"),
    "database unknown": _set(
        UNREACHABLE + r'database "nowhere" does not exist\. Look at PGDATABASE\.', PGDATABASE="nowhere"
    ),
    "database takes no connections": _set(UNREACHABLE + r".*Look at PGDATABASE\.", PGDATABASE="template0"),
    "database empty": _set(r"^The database lacks .*Run .*migrate.*PGDATABASE", PGDATABASE="postgres"),
    "host unknown": _set(UNREACHABLE + r".*Look at PGHOST\.", PGHOST="nowhere.invalid"),
    "host with an empty label": _set(
        UNREACHABLE + r"that is not the name of a host\. Look at PGHOST\.", PGHOST="db..example"
    ),
    "host with a leading dot": _set(
        UNREACHABLE + r"that is not the name of a host\. Look at PGHOST\.", PGHOST=".example"
    ),
    "host with a long label": _set(UNREACHABLE + r"that is not the name of a host\. Look at PGHOST\.", PGHOST="é" * 70),
    "host with spaces": _set(UNREACHABLE + r".*Look at PGHOST\.", PGHOST=" "),
    "host with a line break": _set(r"^PGHOST='db\\n' is not the name of a host\.$", PGHOST="db\n"),
    "host is a URL": _set(UNREACHABLE + r".*Look at PGHOST\.", PGHOST="postgresql://127.0.0.1"),
    "host not UTF-8": _set(r"^The host .* is not UTF-8: look at PGHOST", PGHOST="a\udcff"),
    "several hosts": _set(
        r"^PGHOST=127\.0\.0\.1,127\.0\.0\.2 names several hosts: name one\.$", PGHOST="127.0.0.1,127.0.0.2"
    ),
    "socket missing": _set(UNREACHABLE + r"No such file or directory\. Look at PGHOST and PGPORT\.", PGHOST="/nowhere"),
    "socket name too long": _set(UNREACHABLE + r".*too long.* Look at PGHOST and PGPORT\.", PGHOST="/" + "a" * 200),
    "host address elsewhere": _set(r"^PGHOSTADDR is set and is not read here", PGHOSTADDR="127.0.0.2"),
    "service": _set(r"^PGSERVICE is set and is not read here", PGSERVICE="lms"),
    **{
        f"port {port!r}": _set(rf"^PGPORT={port} is no port number\.$", PGPORT=port)
        for port in ("54e2", "0", "-1", "65536", "99999999999", "5432,5433", "٥٤٣٢", "5 432", "0x1538")
    },
    "port closed": _set(UNREACHABLE + r"Connection refused\. Look at PGHOST and PGPORT\.", PGPORT="1"),
    "HTTP on the port": _behind_port(
        UNREACHABLE + r"it closed the connection, or is not PostgreSQL\. Look at PGHOST and PGPORT", HTTP, is_open=False
    ),
    "HTTP on the port, over TLS": _behind_port(
        UNREACHABLE + r"what answers there is not PostgreSQL\. Look at PGHOST", HTTP, PGSSLMODE="require"
    ),
    "MySQL on the port": _behind_port(UNREACHABLE + r"what answers there is not PostgreSQL\. Look at PGHOST", MYSQL),
    "SSH on the port": _behind_port(UNREACHABLE + r".*Look at PGSSLMODE, PGHOST and PGPORT", SSH, PGSSLMODE="prefer"),
    "closes at once": _behind_port(UNREACHABLE + r".*Look at PGHOST and PGPORT", b"", is_open=False),
    "silent": _behind_port(
        UNREACHABLE + r"it did not answer in time\. Look at PGHOST and PGPORT, or at PGCONNECT_TIMEOUT\.",
        b"",
        PGCONNECT_TIMEOUT="1",
    ),
    "silent, over TLS": _behind_port(
        UNREACHABLE + r"it did not answer in time\.", b"", PGCONNECT_TIMEOUT="1", PGSSLMODE="require"
    ),
    "silent after a greeting": _behind_port(
        UNREACHABLE + r"it did not answer in time\.", b"R\0\0\0\x08\0\0\0\0", PGCONNECT_TIMEOUT="1"
    ),
    "timeout no number": _set(r"^PGCONNECT_TIMEOUT=soon is not a whole number of seconds\.$", PGCONNECT_TIMEOUT="soon"),
    "timeout not whole": _set(r"^PGCONNECT_TIMEOUT=2\.5 is not a whole number of seconds\.$", PGCONNECT_TIMEOUT="2.5"),
    "TLS mode misspelt": _set(r"^PGSSLMODE=verify_full is not known: use disable, ", PGSSLMODE="verify_full"),
    "TLS mode in capitals": _set(r"^PGSSLMODE=REQUIRE is not known: use disable, ", PGSSLMODE="REQUIRE"),
    "no TLS on the server": _set(UNREACHABLE + r"it has no TLS\. Look at PGSSLMODE\.", PGSSLMODE="require"),
    "authorities missing": _set(
        r"^PGSSLROOTCERT=/nowhere/root\.crt cannot be read: No such file or directory\.$",
        PGSSLMODE="verify-full",
        PGSSLROOTCERT="/nowhere/root.crt",
    ),
    "authorities a folder": _set(r"^PGSSLROOTCERT=/etc cannot be read: ", PGSSLMODE="verify-ca", PGSSLROOTCERT="/etc"),
    "authorities empty": _set(
        r"^PGSSLROOTCERT=/dev/null cannot be read: it holds no certificates\.$",
        PGSSLMODE="require",
        PGSSLROOTCERT="/dev/null",
    ),
    "authorities no certificates": _set(
        r"^PGSSLROOTCERT=.* cannot be read: it holds no certificates\.$",
        PGSSLMODE="verify-full",
        PGSSLROOTCERT=__file__,
    ),
    "options unknown": _set(UNREACHABLE + r".*Look at PGOPTIONS and PGDATABASE", PGOPTIONS="-c no_such_thing=1"),
    "options not UTF-8": _set(r"^The options .* is not UTF-8: look at PGOPTIONS", PGOPTIONS="-c a=\udcff"),
    "read-only by options": _set(
        r"read-only transaction.*look at PGHOST, which leads to a server that only reads",
        PGOPTIONS="-c default_transaction_read_only=on",
    ),
    "read-only by role": _set(
        r"read-only transaction.*look at PGHOST, which leads to a server that only reads", PGUSER="reader"
    ),
    "no privileges": _set(r"^The database is not ready for linking: permission denied for ", PGUSER="powerless"),
    "schema elsewhere": _set(r"^The database lacks .*search_path", PGOPTIONS="-c search_path=elsewhere"),
    "encoding that cannot be UTF-8": _set(UNREACHABLE + r".*Look at ", PGDATABASE="mule"),
    "token wanted, misspelt": _set(r"^DB_IAM_AUTH=yes is not known: use true or false\.$", aws=True, DB_IAM_AUTH="yes"),
    "token without host": _token(r"^DB_IAM_AUTH needs PGHOST: set it\.$", PGHOST=None),
    "token without host and user": _token(r"^DB_IAM_AUTH needs PGHOST and PGUSER: set them\.$", PGHOST="", PGUSER=None),
    "token without credentials": _token(
        r"^DB_IAM_AUTH needs AWS credentials, and there are none\.$", **dict.fromkeys(KEY)
    ),
    "token with half the credentials": _token(
        r"^DB_IAM_AUTH needs AWS credentials, .* not fit: PartialCredentialsError\.$",
        AWS_SECRET_ACCESS_KEY=None,
    ),
    "token of no profile": _token(
        r"^DB_IAM_AUTH needs AWS credentials, and they are not fit: ProfileNotFound\.$", AWS_PROFILE="nobody"
    ),
    "token without region": _token(
        r"^DB_IAM_AUTH needs a region: set AWS_REGION or AWS_DEFAULT_REGION\.$", AWS_DEFAULT_REGION=None
    ),
    "token refused": _token(UNREACHABLE + r"password authentication failed .* Look at PGUSER and PGPASSWORD"),
    "secret without region": _set(
        r"^The database's secret cannot be fetched: NoRegionError\. Look at DB_SECRET_ARN",
        aws=True,
        DB_SECRET_ARN="database",  # noqa: S106
    ),
    "secret without credentials": _set(
        r"^The database's secret cannot be fetched: NoCredentialsError\. Look at DB_SECRET_ARN",
        aws=True,
        DB_SECRET_ARN="database",  # noqa: S106
        AWS_DEFAULT_REGION="eu-west-1",
    ),
}

READS = {"read-only by options", "read-only by role"}
LOGS_IN = READS | {"database empty", "no privileges", "schema elsewhere"}
SLOW = {name for name in ENVIRONMENTS if name.startswith("silent")}
