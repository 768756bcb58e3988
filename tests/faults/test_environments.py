"""What is said of a broken environment, over HTTP and to a direct invocation, and what is logged of it."""

import json
import re
from collections.abc import Iterator

import pytest

from functions.link.app import lambda_handler
from lambda_runtime.connection import _secrets, forget_connection
from local.invocation import invocation
from local.lms import CURRICULUM, PROGRAM, Lms
from program_enrollments import DatabaseNotReady, LinkingUnavailable, connect
from tests.enrolling.conftest import call
from tests.faults.environments import ENVIRONMENTS, READS, SLOW, Servers, use
from tests.reading.conftest import ask
from tests.support import Printed, load_event

PASSWORDS = {
    "horses": "🐴🐎",
    "two directions": "abc\u05d0\u05d1",
    "a control character": "a\u0085b",
    "not normal": "ﬁn\u00a0é",
    "accents": "Grüße",
    "spaces": " a b ",
    "only what SASLprep drops": "\u00ad",
    "a space of no width": "a\u200bb",
}


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No connection is open, no secret was fetched, and no AWS configuration is found."""
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    forget_connection()
    _secrets.cache_clear()
    yield monkeypatch
    forget_connection()
    _secrets.cache_clear()


def errors_of(printed: Printed) -> list[str]:
    """The reasons of the errors that were logged."""
    return [record["reason"] for record in printed() if record.get("level") == "ERROR"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_lambda(name: str, servers: Servers, cold: pytest.MonkeyPatch, printed: Printed) -> None:
    """Through both doors of the Lambda, a broken environment is one line that says what to look at, and an ERROR."""
    row = ENVIRONMENTS[name]
    with row.broken(servers) as variables:
        use(variables, cold)
        answer = lambda_handler(load_event("api-link"), invocation(8_000))
        with pytest.raises((LinkingUnavailable, DatabaseNotReady)) as raised:
            lambda_handler(load_event("direct-link"), invocation(8_000))
    message = json.loads(answer["body"])["message"]
    assert answer["statusCode"] == (503 if raised.type is LinkingUnavailable else 500)
    assert raised.type in {LinkingUnavailable, DatabaseNotReady}
    errors = errors_of(printed)
    assert len(errors) == 2
    for said in (message, str(raised.value), *errors):
        assert re.search(row.says, said)
        assert "\n" not in said


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ENVIRONMENTS if name not in SLOW])
def test_other_requests(name: str, servers: Servers, cold: pytest.MonkeyPatch, printed: Printed) -> None:
    """Enrolling and reading say it as linking does; what only reads can be read from."""
    row = ENVIRONMENTS[name]
    new = {"student_key": "s1", "status": "enrolled", "curriculum_uuid": CURRICULUM}
    with row.broken(servers) as variables:
        use(variables, cold)
        written = call("PUT", [new])
        with pytest.raises((LinkingUnavailable, DatabaseNotReady)) as raised:
            lambda_handler({"program_uuid": PROGRAM, "enrollments": [new], "create": True}, invocation(8_000))
        read = [ask(path) for path in ("/programs", f"/programs/{PROGRAM}/enrollments", "/learners?username=alice")]
    answers = [written, *((answer.status, answer.json) for answer in read)]
    if name in READS:
        assert [status for status, _ in answers] == [503, 200, 200, 404]
        answers = answers[:1]
    errors = errors_of(printed)
    assert len(errors) == len(answers) + 1
    assert {status for status, _ in answers} == {503 if raised.type is LinkingUnavailable else 500}
    for said in (str(raised.value), *(answer["message"] for _, answer in answers), *errors):
        assert re.search(row.says, said)


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
def test_passwords(password: str, servers: Servers, cold: pytest.MonkeyPatch) -> None:
    """Any password that the server was given lets the user in."""
    use(servers.environment(), cold)
    with connect() as administrator:
        administrator.run(f"CREATE ROLE odd LOGIN PASSWORD '{password}'")
    try:
        cold.setenv("PGUSER", "odd")
        cold.setenv("PGPASSWORD", password)
        with connect() as connection:
            assert connection.run("SELECT current_user::text") == [["odd"]]
    finally:
        use(servers.environment(), cold)
        with connect() as administrator:
            administrator.run("DROP ROLE odd")


@pytest.mark.parametrize("settings", [{"PGDATABASE": "plain"}, {"PGOPTIONS": "-c client_encoding=LATIN1"}])
def test_encoding(settings: dict[str, str], servers: Servers, cold: pytest.MonkeyPatch) -> None:
    """Whatever a database, a role or an option says of encodings, names outside of ASCII are found."""
    use(servers.environment(**settings), cold)
    with connect() as administrator:
        lms = Lms(administrator)
        administrator.run("BEGIN")
        lms.user("Zoë")
        lms.enrollment("schlüssel")
        administrator.run("COMMIT")
        event = load_event("direct-link") | {"external_keys_to_usernames": {"schlüssel": "Zoë", "é": "Zoë"}}
        answer = lambda_handler(event, invocation())
        administrator.run("TRUNCATE auth_user CASCADE; TRUNCATE program_enrollments_programenrollment CASCADE")
    assert (answer["linked"], answer["error_codes"]) == (1, {"é": "not-in-program"})


def test_options(servers: Servers, cold: pytest.MonkeyPatch) -> None:
    """PGOPTIONS reaches the server."""
    use(servers.environment(PGOPTIONS="-c work_mem=5MB"), cold)
    with connect() as connection:
        assert connection.run("SHOW work_mem") == [["5MB"]]
