"""Whose database is written: nobody's but the embedded server's, unless SERVER=own says so and it is safe."""

import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from pg8000.native import Connection

from local.lms import Lms
from local.postgres import Cluster, embedded_cluster
from local.roster import SAMPLE_REQUEST
from local.serve import sample_database
from local.server import Refused, forget_surroundings, spare_server
from program_enrollments import connect
from program_enrollments.migrate import migrate
from tests.local.conftest import Production, Service, Start

# One that needs a database.
TEST = "tests/linking/test_core.py::test_no_options"
# What each of them does with its database, in place of all that it would measure or test.
BENCHMARK = """
from benchmarks import __main__ as benchmarks
def look(lms):
    benchmarks.directly(benchmarks.add_roster(lms, 10))
    print(lms.run("SELECT current_user, current_database()"), flush=True)
benchmarks.MEASURES = {name: [look] for name in benchmarks.MEASURES}
benchmarks.main()
"""


@pytest.fixture(scope="module")
def somebodys() -> Iterator[Cluster]:
    """A server that somebody has for themselves."""
    with embedded_cluster() as cluster:
        yield cluster


@pytest.fixture
def own(somebodys: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let SERVER=own and PG* name that server, and make databases that are gone at the end."""
    for name, value in (somebodys.environment | {"SERVER": "own"}).items():
        monkeypatch.setenv(name, value)
    made = []
    with connect() as administrator:

        def make(database: str) -> None:
            administrator.run(f"CREATE DATABASE {database}")
            made.append(database)

        yield make
        for database in made:
            administrator.run(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def edxapp(own: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """An empty database on it, which PG* name."""
    own("edxapp")
    monkeypatch.setenv("PGDATABASE", "edxapp")
    with connect() as connection:
        yield connection


def tables(connection: Connection) -> list[list[str]]:
    """The tables of a database."""
    return list(connection.run("SELECT relname FROM pg_stat_user_tables ORDER BY 1"))


def test_run_stays_away_from_production(production: Production, run: Callable[..., Service]) -> None:
    """`make run` links in the embedded server, whatever the environment leads to."""
    service = run(**production.environment)
    body = json.dumps(SAMPLE_REQUEST).encode()
    request = urllib.request.Request(f"{service.url}/links", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request) as response:  # noqa: S310 - localhost
        assert response.status == 207
    assert service.stop(signal.SIGTERM)[0] == 0


@pytest.mark.slow
def test_benchmarks_stay_away_from_production(production: Production, start: Start) -> None:
    """`make bench` measures in the embedded server, whatever the environment leads to."""
    process = start("-c", BENCHMARK, **production.environment)
    names = ("bench", "bench_enrolling", "bench_surroundings")
    looks = "".join(f"[['postgres', 'program_linking_{name}']]\n" for name in names)
    assert process.communicate(timeout=300) == (looks, "")


@pytest.mark.slow
def test_tests_stay_away_from_production(production: Production, start: Start) -> None:
    """`make test` and `make soak` run in the embedded server, whatever the environment leads to."""
    process = start("-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", TEST, **production.environment, SOAK="1")
    output, _ = process.communicate(timeout=300)
    assert (process.returncode, "passed" in output) == (0, True)


def test_containers_and_mutants_stay_away_from_production(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else starts from here sees neither the database nor the account that the environment leads to."""
    for name, value in production.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    forget_surroundings()
    assert not production.environment.keys() & os.environ.keys()
    assert os.environ["AWS_CONFIG_FILE"] == os.environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


@pytest.mark.slow
@pytest.mark.parametrize("module", ["local.serve", "local.mutants", "benchmarks"])
def test_another_word_than_own(start: Start, module: str) -> None:
    """A SERVER that is not known is refused in one sentence."""
    process = start("-m", module, SERVER="owm")
    _, errors = process.communicate(timeout=300)
    assert errors == "SERVER=owm is not known: use SERVER=own for the server that PG* name, or leave it out.\n"
    assert process.returncode == 1


@pytest.mark.slow
def test_run_in_an_empty_database_of_ones_own(edxapp: Connection, somebodys: Cluster) -> None:
    """The sample roster goes into an empty database, which is named; a second run finds its own rows, and goes on."""
    for _ in range(2):
        with sample_database() as fate:
            assert fate == (
                f"The database is your own, postgres@127.0.0.1:{somebodys.port}/edxapp: what is linked there stays."
            )
        assert edxapp.run("SELECT count(*) FROM auth_user") == [[200]]


@pytest.mark.parametrize("account", ["real", "alice"])
def test_run_in_somebodys_lms(edxapp: Connection, somebodys: Cluster, account: str) -> None:
    """An LMS with one account that the sample did not make, be it by a name of the sample's, is left as it is."""
    migrate(edxapp)
    user = Lms(edxapp).user(account)
    edxapp.run(f"UPDATE auth_user SET email = '{account}@example.org' WHERE id = {user}")
    with pytest.raises(Refused) as refusal, sample_database():
        pass
    assert str(refusal.value) == (
        f"postgres@127.0.0.1:{somebodys.port}/edxapp has 1 accounts that are not the sample roster's, which would be"
        " written there: nothing was changed. Name another database, or leave SERVER=own out."
    )
    assert edxapp.run("SELECT username FROM auth_user") == [[account]]
    assert edxapp.run("SELECT FROM program_enrollments_programenrollment") == []


def test_run_in_a_database_of_something_else(edxapp: Connection, start: Start) -> None:
    """A database with tables, and no LMS, gets none of ours; the refusal is one sentence at the terminal."""
    edxapp.run("CREATE TABLE invoices ()")
    process = start("-m", "local.serve", PORT="8765")
    output, errors = process.communicate(timeout=120)
    assert (output, process.returncode) == ("", 1)
    assert errors.partition("edxapp ")[2] == (
        "has 1 tables and is no LMS: nothing was changed. Name an empty database, or leave SERVER=own out.\n"
    )
    assert tables(edxapp) == [["invoices"]]


def test_run_with_a_server_out_of_reach(start: Start) -> None:
    """A server of one's own that does not answer is one sentence."""
    process = start("-m", "local.serve", PORT="8765", SERVER="own", PGHOST="127.0.0.1", PGPORT="1")
    _, errors = process.communicate(timeout=120)
    assert (errors.count("\n"), "127.0.0.1:1 cannot be reached" in errors, process.returncode) == (1, True, 1)


@pytest.mark.slow
def test_tests_on_an_empty_server_of_ones_own(own: Callable[[str], None], start: Start) -> None:
    """With SERVER=own the tests run on an empty server, and leave nothing there."""
    process = start("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", TEST)
    output, _ = process.communicate(timeout=300)
    assert (process.returncode, "passed" in output) == (0, True)
    with connect() as connection:
        assert connection.run("SELECT count(*) FROM pg_database") == [[3]]
        assert connection.run("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'") == [["postgres"]]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["-m", "benchmarks"], ["-m", "pytest", "-n", "0", TEST]])
def test_no_tests_on_somebodys_server(own: Callable[[str], None], start: Start, arguments: list[str]) -> None:
    """Tests and benchmarks refuse a server that has other databases, and name them."""
    own("program_linking_test_gw0")
    own("edxapp")
    process = start(*arguments)
    _, errors = process.communicate(timeout=300)
    assert " is in use (edxapp), and databases and roles would be made and dropped there: name an empty one" in errors
    assert process.returncode in {1, pytest.ExitCode.USAGE_ERROR}
    with connect() as connection:
        assert connection.run("SELECT count(*) FROM pg_database") == [[5]]


def test_no_tests_beside_somebodys_tables(own: Callable[[str], None]) -> None:
    """Tests refuse a server whose only database has tables."""
    with connect() as connection:
        connection.run("CREATE TABLE invoices ()")
        with pytest.raises(Refused, match=r" is in use \(postgres@127\.0\.0\.1:\d+/postgres\)"), spare_server():
            pass
        connection.run("DROP TABLE invoices")
