"""What each verb of the command says of a broken environment."""

import re
from pathlib import Path

import pytest

from local.lms import CURRICULUM, PROGRAM
from program_linking.main import run
from tests.command.support import Ended
from tests.faults.environments import ENVIRONMENTS, LOGS_IN, READS, SLOW, Servers, use

LINK = ["link", PROGRAM, "student-001:alice"]
READING = {
    "programs": ["show"],
    "enrollments": ["show", PROGRAM, "--csv"],
    "a key": ["show", "--key", "student-001"],
    "a username": ["show", "--username", "alice"],
}
ENROLL = ["enroll", PROGRAM, "--csv", "{file}"]
WRITING = {
    "link": LINK,
    "program": [*ENROLL, "--curriculum", CURRICULUM],
    "identities": [*ENROLL, "--curriculum", CURRICULUM, "--idp", "uni"],
    "course": [*ENROLL, "--course", "org/course/run", "--update"],
}
NAMES = [name for name, row in ENVIRONMENTS.items() if not row.aws]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with a line to enroll."""
    file = tmp_path / "enrollments.csv"
    file.write_text("student_key,status\nstudent-001,enrolled\n", encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("name", NAMES)
def test_verbs(
    name: str, servers: Servers, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken environment is exit status 2 and one line on standard error, which says what to look at."""
    row = ENVIRONMENTS[name]
    verbs = {"link": LINK} if name in SLOW else WRITING if name in READS else WRITING | READING
    for verb, arguments in verbs.items():
        with row.broken(servers) as variables:
            use(variables, monkeypatch)
            ended = Ended(run([argument.format(file=file) for argument in arguments]), *capsys.readouterr())
        assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1), (verb, ended)
        assert re.search(row.says, ended.err), (verb, ended.err)


@pytest.mark.parametrize("name", sorted(READS))
def test_reading_from_what_only_reads(
    name: str, servers: Servers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be written, programs and enrollments are shown all the same."""
    with ENVIRONMENTS[name].broken(servers) as variables:
        use(variables, monkeypatch)
        assert [run(READING[verb]) for verb in ("programs", "enrollments")] == [0, 0]
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW | LOGS_IN])
def test_migrate_and_grants(
    name: str, servers: Servers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Migrating says it as the others do, and grants, which need no database, are printed wherever PG* lead."""
    row = ENVIRONMENTS[name]
    with row.broken(servers) as variables:
        use(variables, monkeypatch)
        migrated = Ended(run(["migrate"]), *capsys.readouterr())
        granted = Ended(run(["grants", "linking"]), *capsys.readouterr())
    assert (migrated.status, migrated.out, len(migrated.err.splitlines())) == (2, "", 1), migrated
    assert re.search(row.says, migrated.err)
    assert (granted.status, granted.err, granted.out.startswith("GRANT CONNECT ON DATABASE ")) == (0, "", True)


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"PGUSER": "reader"}, 0, r"^0001_open_edx_tables\.sql: in place$"),
        ({"PGUSER": "powerless"}, 0, r"^0001_open_edx_tables\.sql: in place$"),
        ({"PGUSER": "reader", "PGDATABASE": "postgres"}, 2, r"read-only transaction.*look at PGHOST"),
        (
            {"PGUSER": "powerless", "PGDATABASE": "postgres"},
            2,
            r"permission denied for .*grants of the service's role\.$",
        ),
        ({"PGOPTIONS": "-c search_path=elsewhere"}, 2, r"no schema has been selected .*Look at the role's search_path"),
    ],
)
def test_migrating_after_the_login(  # noqa: PLR0913, PLR0917 - the fixtures
    changes: dict[str, str],
    status: int,
    says: str,
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A database that is up to date needs no privilege to stay so; else what cannot be made is said in a line."""
    use(servers.environment(**changes), monkeypatch)
    ended = Ended(run(["migrate"]), *capsys.readouterr())
    assert (ended.status, len((ended.out + ended.err).splitlines())) == (status, 1), ended
    assert re.search(says, ended.out + ended.err)
