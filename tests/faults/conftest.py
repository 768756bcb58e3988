"""A PostgreSQL that the tests may kill, and a line to the other one that they may cut."""

import gc
import sys
from collections.abc import Iterator

import pytest

from lambda_runtime.connection import forget_connection
from local.lms import Lms
from local.postgres import Cluster, embedded_cluster
from local.proxy import Proxy, proxy
from program_enrollments import connect
from program_enrollments.migrate import migrate
from tests.faults.environments import Servers
from tests.faults.environments import servers as start_servers

# A killed process leaves to the kernel what it wrote, so that nothing waits for the disk; but it must be written.
SURVIVES_ITS_PROCESSES = ("fsync=off", "synchronous_commit=on", "full_page_writes=on")


@pytest.fixture(autouse=True)
def broken_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the garbage collector have what pg8000 leaves to it if a connection fails: sockets, and bytes unsent.

    What was there before is frozen, for to look at all that the tests have imported takes a quarter of a second.
    """
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers that the table of broken environments leads to."""
    with start_servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[Cluster]:
    """A server of the module's own, which keeps what it committed when its processes are killed."""
    with embedded_cluster(settings=SURVIVES_ITS_PROCESSES) as cluster:
        yield cluster


@pytest.fixture
def mortal(mortal_server: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """That server, with an empty LMS that the PG* variables name."""
    for name, value in mortal_server.environment.items():
        monkeypatch.setenv(name, value)
    with connect() as connection:
        connection.run("DROP DATABASE IF EXISTS lms WITH (FORCE)")
        connection.run("CREATE DATABASE lms")
    monkeypatch.setenv("PGDATABASE", "lms")
    with connect() as connection:
        migrate(connection)
    forget_connection()
    yield mortal_server
    forget_connection()


@pytest.fixture
def line(lms: Lms, server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy between the Lambda and the database; the LMS's own session does not go through it."""
    with proxy(server["PGHOST"], int(server["PGPORT"])) as line:
        for name, value in line.environment.items():
            monkeypatch.setenv(name, value)
        forget_connection()
        yield line
        forget_connection()
