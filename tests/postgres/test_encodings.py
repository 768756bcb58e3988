"""Databases that are not UTF-8: a text that one cannot hold is nobody's, and fails by itself wherever it is sent."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pg8000.native import Connection, DatabaseError

from lambda_runtime.connection import forget_connection
from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments import connect
from program_enrollments.enrolling.verbs import get_users_by_external_keys
from program_enrollments.migrate import migrate
from program_enrollments.postgres.encodings import unstorable
from program_enrollments.postgres.session import Session
from program_linking.main import run
from tests.enrolling.conftest import DOORS, call
from tests.enrolling.test_identities import SSO, identity
from tests.reading.conftest import ask
from tests.support import Printed, call_api

TEXTS = ["key", "é", "Ж", "〜", "갂", "日", "€", "\U0001f600"]
type Administrator = Callable[[str], list[list[Any]]]


@contextmanager
def database(encoding: str, administrator: Administrator, server: dict[str, str], worker_id: str) -> Iterator[None]:
    """An empty database with an encoding, which the superuser's PG* variables name."""
    name = f"program_linking_{encoding.lower()}_{worker_id}"
    administrator(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    administrator(f"CREATE DATABASE {name} ENCODING {encoding} LOCALE 'C' TEMPLATE template0")
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in (server | {"PGDATABASE": name}).items():
            environment.setenv(variable, value)
        forget_connection()
        yield
        forget_connection()
    administrator(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", params=["LATIN1", "SQL_ASCII"])
def odd_server(
    request: pytest.FixtureRequest, administrator: Administrator, server: dict[str, str], worker_id: str
) -> Iterator[tuple[str, Lms]]:
    """An LMS with single sign-on in a database of an encoding that is not UTF-8, for the tests of this module."""
    with database(request.param, administrator, server, worker_id), connect() as connection:
        migrate(connection)
        connection.run(SSO)
        yield request.param, Lms(connection)


@pytest.fixture
def odd(odd_server: tuple[str, Lms]) -> Lms:
    """That LMS, emptied."""
    _, lms = odd_server
    lms.run("TRUNCATE auth_user, program_enrollments_programenrollment, course_overviews_courseoverview CASCADE")
    return lms


@pytest.fixture
def holds_all(odd_server: tuple[str, Lms]) -> bool:
    """Whether the database takes every text."""
    return odd_server[0] == "SQL_ASCII"


@pytest.mark.parametrize(
    ("encoding", "held"),
    [
        ("SQL_ASCII", TEXTS),
        ("LATIN1", ["key", "é"]),
        ("WIN1251", ["key", "Ж", "€"]),
        # Python's tables of the same names have 갂, 〜, and none.
        ("EUC_KR", ["key", "Ж", "日", "€"]),
        ("EUC_JP", ["key", "é", "Ж", "日"]),
        ("EUC_TW", ["key", "日"]),
    ],
)
def test_what_a_database_can_hold(
    encoding: str, held: list[str], administrator: Administrator, server: dict[str, str], worker_id: str
) -> None:
    """What a database cannot hold is what its server refuses, and each text comes with what it says."""
    with database(encoding, administrator, server, worker_id), connect() as connection:
        session = Session(connection, time.monotonic() + 10)
        with session.transaction():
            refused = unstorable(session, [*TEXTS, *TEXTS])
            assert [text for text in TEXTS if text not in refused] == held
        assert {(refusal.sqlstate, encoding in str(refusal)) for refusal in refused.values()} <= {("22P05", True)}
        assert _taken(connection) == held


def _taken(connection: Connection) -> list[str]:
    """The texts that a table of the database takes."""
    taken = []
    connection.run("CREATE TABLE held (text text)")
    for text in TEXTS:
        try:
            connection.run("INSERT INTO held VALUES (:text)", text=text)
            taken.append(text)
        except DatabaseError:
            continue
    return taken


def test_utf_8_holds_everything(lms: Lms, other_session: Connection) -> None:
    """In a database that is UTF-8, nobody asks the server."""
    assert other_session.parameter_statuses["server_encoding"] == "UTF8"
    assert unstorable(Session(other_session, 0), TEXTS) == {}


def test_linking(odd: Lms) -> None:
    """A key or a username that the database cannot hold fails by itself, and the others are linked."""
    odd.user("Zoë")
    odd.enrollment("schlüssel")
    odd.enrollment("key")
    keys = {"schlüssel": "Zoë", "ключ": "Zoë", "key": "Зоя", "€": "€"}
    for ignore_case in (False, True):
        request = {"program_uuid": PROGRAM, "external_keys_to_usernames": keys, "ignore_case": ignore_case}
        status, answer = call_api({**request, "dry_run": not ignore_case})
        assert (status, answer["linked"]) == (207, 1)
        assert answer["error_codes"] == {"ключ": "not-in-program", "key": "user-not-found", "€": "user-not-found"}


@pytest.mark.parametrize("name", ["external_user_key", "username"])
def test_reading(odd: Lms, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A learner whom the database holds is shown; one whom it does not or cannot hold is not there."""
    odd.enrollment("Zoë", user_id=odd.user("Zoë"))
    assert ask(f"/learners?{name}={quote('Zoë')}").json["enrollments"][0]["external_user_key"] == "Zoë"
    option = {"external_user_key": "--key", "username": "--username"}[name]
    for text in ("ключ", "€"):
        answer = ask(f"/learners?{name}={quote(text)}")
        assert (answer.status, answer.json["details"]) == (404, [])
        capsys.readouterr()
        assert (run(["show", option, text]), capsys.readouterr()) == (2, ("", f"{answer.json['message']}\n"))


@pytest.mark.parametrize("door", DOORS)
def test_enrolling(odd: Lms, holds_all: bool, door: str) -> None:  # noqa: FBT001 - a fixture
    """Creating a key that the database cannot hold is refused for that key; to update it, nobody has it."""
    odd.course()
    odd.enrollment("schlüssel")
    write = DOORS[door]
    keys = ["ключ", "schlüssel", "Grüße", "€"]
    rows: list[dict[str, Any]] = [
        {"student_key": key, "status": "pending", "curriculum_uuid": CURRICULUM} for key in keys
    ]
    new = "pending" if holds_all else "internal-error"
    assert write("PATCH", rows) == dict.fromkeys(keys, "not-in-program") | {"schlüssel": "pending"}
    assert write("POST", rows) == {"ключ": new, "schlüssel": "conflict", "Grüße": "pending", "€": new}
    assert write("PUT", rows) == {"ключ": new, "schlüssel": "pending", "Grüße": "pending", "€": new}
    there = keys if holds_all else ["schlüssel", "Grüße"]
    course = [{"student_key": key, "status": "active", "course_staff": True} for key in keys]
    assert write("PUT", course, DEMO_COURSE) == {key: "active" if key in there else "not-in-program" for key in keys}
    assert sorted(odd.rows("program_enrollments_programenrollment", "external_user_key, status")) == sorted(
        [key, "pending"] for key in there
    )


def test_other_verdicts_come_first(odd: Lms) -> None:
    """A row that is at fault itself has the verdict that it has anywhere."""
    rows = [
        {"student_key": "ключ", "status": "gone", "curriculum_uuid": CURRICULUM},
        {"student_key": "€", "status": "enrolled", "curriculum_uuid": CURRICULUM},
        {"student_key": "€", "status": "ended", "curriculum_uuid": CURRICULUM},
    ]
    assert call("PUT", rows) == (422, {"ключ": "invalid-status", "€": "duplicated"})
    assert odd.rows("program_enrollments_programenrollment") == []


def test_the_log_says_why(odd: Lms, holds_all: bool, printed: Printed) -> None:  # noqa: FBT001 - a fixture
    """A refused row is logged with the server's own code, as any other that it refuses."""
    row = {"student_key": "ключ", "status": "enrolled", "curriculum_uuid": CURRICULUM}
    assert call("POST", [row])[0] == (200 if holds_all else 422)
    logged = [record["details"] for record in printed() if record.get("message") == "Rows rolled back"]
    assert logged == ([] if holds_all else [[{"sqlstate": "22P05", "constraint": None, "detail": None}]])


def test_the_command_enrolls(
    odd: Lms,
    holds_all: bool,  # noqa: FBT001 - a fixture
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command names the key that the database cannot hold, says why, and writes the others."""
    file = tmp_path / "enrollments.csv"
    file.write_text("student_key,status\nключ,enrolled\nGrüße,enrolled\n", encoding="utf-8")
    status = run(["enroll", PROGRAM, "--csv", str(file), "--curriculum", CURRICULUM])
    out, err = capsys.readouterr()
    if holds_all:
        assert (status, err) == (0, "")
    else:
        assert (status, "1 as asked for, 1 failed (1 internal-error)" in out) == (1, True)
        assert err.startswith("The server refused a row: character with byte sequence")


def test_courses_and_providers(odd: Lms) -> None:
    """A course that the database cannot hold is unknown to the LMS, and a provider knows nobody whom it cannot hold."""
    odd.enrollment("schlüssel")
    row = {"student_key": "schlüssel", "status": "active"}
    assert call("PUT", [row], "course-v1:org+курс+run")[0] == 404
    identity(odd, "unï:grüße", odd.user("Zoë"))
    new = [{"student_key": key, "status": "enrolled", "curriculum_uuid": CURRICULUM} for key in ("GRüßE", "s2")]
    assert call("PUT", new[1:], query=f"idp={quote('ключ')}") == (200, {"s2": "enrolled"})
    assert call("PUT", new[:1], query=f"idp={quote('unï')}") == (200, {"GRüßE": "enrolled"})
    assert odd.run("SELECT external_user_key FROM program_enrollments_programenrollment WHERE user_id > 0") == [
        ["GRüßE"]
    ]
    with connect() as connection:
        known = get_users_by_external_keys(connection, ["grüße", "ключ"], "unï")
    assert (known["grüße"], known["ключ"]) == (odd.rows("auth_user", "id")[0][0], None)


@pytest.mark.parametrize("odd_server", ["SQL_ASCII"], indirect=True)
def test_text_that_is_not_utf_8(odd: Lms) -> None:
    """What a database holds without knowing its encoding, and is not UTF-8, is said to be at fault."""
    key = odd.enrollment("key")
    odd.run(rf"UPDATE program_enrollments_programenrollment SET external_user_key = E'\xeb' WHERE id = {key}")
    request = {"program_uuid": PROGRAM, "external_keys_to_usernames": {"a": "b"}, "ignore_case": True}
    listed = ask(f"/programs/{PROGRAM}/enrollments")
    for status, answer in ((listed.status, listed.json), call_api(request)):
        assert status == 500
        assert answer["message"].startswith("The database holds text that is not UTF-8: look at its encoding (")
