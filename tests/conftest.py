"""A real PostgreSQL for each test worker, and a database of its own for each test."""

import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from pg8000.native import Connection

from functions.link.app import lambda_handler
from lambda_runtime.connection import forget_connection
from lambda_runtime.observability import logger
from local.invocation import invocation
from local.lms import Lms
from local.server import Refused, forget_surroundings, is_own, spare_server
from program_enrollments import ProgramEnrollmentsError, connect
from program_enrollments.grants import grants
from program_enrollments.migrate import migrate
from program_enrollments.postgres.session import close
from tests.databases import Database
from tests.pooler import pgbouncer
from tests.support import Invoke, Post, Printed, call_api, load_event

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from local.stack import Service

TEMPLATE = "program_linking_template"
CLONE = "program_linking_test"
SERVICE_ROLE = "program_linking_service"
PASSWORD = "not a secret"  # noqa: S105 - it is none
# So many cases of a test are run before each commit.
FEW = 3
# What a test needs by way of a fixture, and the marker that says so.
NEEDS = {"chromium": pytest.mark.browser, "built": pytest.mark.builds}

# Property tests are short, unless they are run with --hypothesis-profile=long.
hypothesis.settings.register_profile(
    "short", max_examples=10, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
hypothesis.settings.register_profile("long", hypothesis.settings.get_profile("short"), max_examples=200)
hypothesis.settings.load_profile("short")


# The first is the same browser without a window's parts, and quicker.
CHROMIUMS = [Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")]


def _let_signals_through() -> None:
    """Let what tests start be interrupted, even if the tests are a shell's background job, which ignores that."""
    for sign, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(sign) is signal.SIG_IGN:
            signal.signal(sign, action)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests away from all that the environment leads to; end here if the server of one's own is not spare."""
    _let_signals_through()
    try:
        forget_surroundings()
        if is_own() and not hasattr(config, "workerinput"):
            with spare_server():
                pass
    except (Refused, ProgramEnrollmentsError) as error:
        raise pytest.UsageError(str(error)) from error


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by what it needs."""
    for fixture in NEEDS.keys() & set(getattr(item, "fixturenames", ())):
        item.add_marker(NEEDS[fixture])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test` leaves out: of a test with many cases it runs a few, from the first to the last."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not item.get_closest_marker("slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for each in cases.values():
        few = {round(number * (len(each) - 1) / (FEW - 1)) for number in range(FEW)}
        for number, item in enumerate(each):
            if len(each) > FEW and number not in few:
                item.add_marker(pytest.mark.more)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests recorded."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """Debian's Chromium, one for all tests of a worker; without it they are skipped."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - few tests need it

    if not (installed := list(filter(Path.exists, CHROMIUMS))):
        pytest.skip("no Chromium: apt-get install chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed[0], args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """Where `sam build` built the checkout, once for all workers."""
    from local.stack import build  # noqa: PLC0415 - with boto3, which takes a second to import

    shared = tmp_path_factory.getbasetemp().parent / f"built-{testrun_uid}"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = shared / "ready"
        if not ready.exists():
            build(shared)
            ready.touch()
    return shared / "build"


@pytest.fixture(scope="session")
def service(built: Path) -> Iterator["Service"]:
    """The stack on a local AWS, for all tests of the xdist group `stack`; each leaves it as it was."""
    from local.stack import deployed_service  # noqa: PLC0415 - likewise

    with deployed_service(built) as service:
        yield service


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    """The PG* variables of an embedded server or, with SERVER=own, of the empty one that they name."""
    with spare_server() as server:
        yield server


@pytest.fixture(scope="session")
def administrator(server: dict[str, str], worker_id: str) -> Iterator[Callable[[str], list[list[Any]]]]:
    """Run a statement outside of all test databases; the template that these are cloned from is there."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in server.items():
            environment.setenv(name, value)
        with connect() as connection:
            connection.run(f"DROP DATABASE IF EXISTS {CLONE}_{worker_id}")
            connection.run(f"DROP DATABASE IF EXISTS {TEMPLATE}_{worker_id}")
            connection.run(f"DROP ROLE IF EXISTS {SERVICE_ROLE}_{worker_id}")
            connection.run(f"CREATE DATABASE {TEMPLATE}_{worker_id}")
            connection.run(f"CREATE ROLE {SERVICE_ROLE}_{worker_id} LOGIN PASSWORD '{PASSWORD}'")
            environment.setenv("PGDATABASE", f"{TEMPLATE}_{worker_id}")
            with connect() as template:
                migrate(template)
                template.run(grants(f"{SERVICE_ROLE}_{worker_id}", f"{TEMPLATE}_{worker_id}"))
            yield connection.run
            connection.run(f"DROP DATABASE IF EXISTS {CLONE}_{worker_id} WITH (FORCE)")
            connection.run(f"DROP DATABASE {TEMPLATE}_{worker_id}")
            connection.run(f"DROP ROLE {SERVICE_ROLE}_{worker_id}")


@pytest.fixture(scope="session")
def worker_database(administrator: Callable[[str], list[list[Any]]], worker_id: str) -> Iterator[Database]:
    """The worker's database, for one test after the other."""
    database = Database(f"{CLONE}_{worker_id}", f"{TEMPLATE}_{worker_id}", administrator)
    yield database
    database.close()


@pytest.fixture(scope="session")
def way(server: dict[str, str], worker_id: str) -> Iterator[dict[str, str]]:
    """The PG* variables that lead the service to the server: through PgBouncer where POOLED is set."""
    if "POOLED" not in os.environ:
        yield {}
        return
    with pgbouncer(server, {f"{SERVICE_ROLE}_{worker_id}": PASSWORD}) as way:
        yield way


@pytest.fixture
def lms(
    worker_database: Database,
    server: dict[str, str],
    way: dict[str, str],
    worker_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lms]:
    """An empty LMS in a database of its own, which the PG* variables name, with the role that the service has.

    The LMS itself is written and read as the server's superuser, and always directly.
    """
    for variable, value in (server | {"PGDATABASE": worker_database.name}).items():
        monkeypatch.setenv(variable, value)
    forget_connection()
    connection = worker_database.open()
    role = {"PGUSER": f"{SERVICE_ROLE}_{worker_id}", "PGPASSWORD": PASSWORD}
    for variable, value in (role | way).items():
        monkeypatch.setenv(variable, value)
    yield Lms(connection)
    forget_connection()


@pytest.fixture
def open_session(lms: Lms, server: dict[str, str]) -> Callable[[], Connection]:
    """Open a session in the test's database, as the server's superuser."""

    def open_session() -> Connection:
        with pytest.MonkeyPatch.context() as environment:
            for variable in ("PGHOST", "PGPORT"):
                environment.setenv(variable, server.get(variable, ""))
            return connect(server.get("PGUSER", "postgres"), server.get("PGPASSWORD"))

    return open_session


@pytest.fixture
def other_session(open_session: Callable[[], Connection]) -> Iterator[Connection]:
    """A second session in the test's database, as the server's superuser; it may end before the test does."""
    connection = open_session()
    yield connection
    close(connection)


@pytest.fixture
def invoke(lms: Lms) -> Invoke:
    """Invoke the Lambda directly."""

    def invoke(external_keys_to_usernames: dict[str, str], **options: object) -> dict[str, Any]:
        event = load_event("direct-link") | {"external_keys_to_usernames": external_keys_to_usernames} | options
        return lambda_handler(event, invocation())

    return invoke


@pytest.fixture
def post(lms: Lms) -> Post:
    """Call the Lambda as API Gateway does, with a body that is text already or becomes JSON."""
    return call_api


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """PG* name a port that nothing listens at."""
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    forget_connection()


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    """Read what the function logs and measures."""
    # The logger keeps the standard output of when it was imported, which is not the one that is captured now.
    handler = logger.registered_handler
    monkeypatch.setattr(handler, "emit", lambda record: sys.stdout.write(f"{handler.format(record)}\n"))
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
