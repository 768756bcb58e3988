"""Linking by the API: the service behind its local front, and APIs that record what reaches them."""

import json
import socket
from pathlib import Path

import pytest

from local.lms import CURRICULUM, Lms
from program_linking import api as api_client
from tests.command.support import Api, Ended, Link

NONE_LINKED = {"program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10", "linked": 0}
ALL_LINKED = {"program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10", "linked": 1, "errors": {}, "error_codes": {}}


def summary(link: Link, *arguments: str) -> tuple[int, str]:
    """Status and last line; the service in this process logs to the same standard output."""
    ended = link(*arguments)
    return ended.status, ended.out.splitlines()[-1]


def test_the_service_links(lms: Lms, link: Link, gateway: str) -> None:
    """With --url, the keys are linked by the service, with the table and the status that a database gives."""
    user_id = lms.user("alice")
    lms.enrollment("student-001")
    ended = link("student-001:alice", "student-002:nobody", "--url", gateway)
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.endswith(
        "external_user_key  lms_username  outcome         message\n"
        "student-001        alice         linked\n"
        "student-002        nobody        user-not-found  No user found with username nobody\n"
        "2 of 2 keys: 1 linked, 0 linked already, 1 failed (1 user-not-found).\n"
    )
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[user_id]]
    assert summary(link, "student-001:alice", "--url", gateway) == (
        0,
        "1 of 1 keys: 0 linked, 1 linked already, 0 failed.",
    )


def test_the_service_takes_the_options(lms: Lms, link: Link, gateway: str) -> None:
    """The options reach the service."""
    alice, bob = lms.user("alice"), lms.user("bob")
    lms.enrollment("Student-001", user_id=alice)
    lms.enrollment("Student-001", curriculum="c0ffee00-0000-4000-8000-000000000002")
    options = ["--relink", "--ignore-case", "--curriculum", CURRICULUM, "--url", gateway]
    assert summary(link, "student-001:bob", *options, "--dry-run") == (
        0,
        "Dry run, nothing was changed. 1 of 1 keys: 1 to link, 0 linked already, 0 failed.",
    )
    assert lms.rows("program_enrollments_programenrollment", "id, user_id") == [[1, alice], [2, None]]
    assert summary(link, "student-001:bob", *options)[0] == 0
    assert lms.rows("program_enrollments_programenrollment", "id, user_id") == [[1, bob], [2, None]]


@pytest.mark.slow
def test_the_service_gets_halves_of_what_is_too_large(lms: Lms, link: Link, gateway: str, tmp_path: Path) -> None:
    """Keys whose answer might not fit into one are sent in several requests."""
    roster = tmp_path / "roster.csv"
    roster.write_text("".join(f"{number:0>200},nobody\n" for number in range(10_000)), encoding="utf-8")
    assert summary(link, "--csv", str(roster), "--url", gateway) == (
        1,
        "10,000 of 10,000 keys: 0 linked, 0 linked already, 10,000 failed (10,000 user-not-found).",
    )


def test_localhost_is_not_signed_for(link: Link, api: Api) -> None:
    """A request to localhost is plain, and holds what was asked for and nothing else."""
    api.will_answer(200, ALL_LINKED)
    assert link("student-001:alice", "--url", f"{api.url}/v1/", "--relink").status == 0
    (received,) = api.received
    assert received.path == "/v1/links"
    assert received.headers["Content-Type"] == "application/json"
    assert "Authorization" not in received.headers
    assert json.loads(received.body) == {
        "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
        "external_keys_to_usernames": {"student-001": "alice"},
        "relink": True,
    }


def test_the_endpoint_itself_is_a_url(link: Link, api: Api) -> None:
    """A URL that names the endpoint already is used as it is."""
    api.will_answer(200, ALL_LINKED)
    link("student-001:alice", "--url", f"{api.url}/v1/links")
    assert api.received[0].path == "/v1/links"


def test_halves(link: Link, api: Api) -> None:
    """After a 413, what is left is sent in batches of half the size."""
    for status, body in [(413, {"message": "The request is too large."}), *[(200, ALL_LINKED)] * 3]:
        api.will_answer(status, body)
    ended = link("a:u", "b:u", "c:u", "d:u", "e:u", "--url", api.url)
    assert ended.status == 0
    assert [received.keys for received in api.received] == [
        ["a", "b", "c", "d", "e"],
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]


def test_a_single_key_that_is_too_large(link: Link, api: Api) -> None:
    """A single key that is too large for the API ends the command."""
    api.will_answer(413, {"message": "The request is too large.", "details": [{"where": "body", "what": "no"}]})
    ended = link("student-001:alice", "--url", api.url)
    assert (ended.status, ended.err) == (2, "The API answered 413: The request is too large. body: no.\n")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_api_is_waited_for(link: Link, api: Api, status: int) -> None:
    """Where the API is busy, the same request goes out again after the time that the API asks for."""
    api.will_answer(status, {"message": "Later."}, Retry_After="0")
    api.will_answer(200, ALL_LINKED)
    ended = link("student-001:alice", "--url", api.url)
    assert (ended.status, ended.err) == (0, f"The API is busy ({status}): trying again in 0 s.\n")
    assert api.received[0].body == api.received[1].body


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({}, 5), ({"Retry_After": "7"}, 7), ({"Retry_After": "3600"}, 60), ({"Retry_After": "tomorrow"}, 5)],
)
def test_how_long_to_wait(
    link: Link, api: Api, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], seconds: int
) -> None:
    """The wait is what Retry-After says, up to a minute, and five seconds where it says nothing."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    api.will_answer(503, {}, **headers)
    api.will_answer(200, ALL_LINKED)
    link("student-001:alice", "--url", api.url)
    assert waits == [seconds]


def test_an_api_that_stays_busy(link: Link, api: Api) -> None:
    """After five answers of an API that is busy, the command ends and says what was done."""
    api.will_answer(413, {})
    api.will_answer(422, {**NONE_LINKED, "errors": {"a": "No"}, "error_codes": {"a": "conflict"}})
    for _ in range(5):
        api.will_answer(503, {"message": "The database is out of reach."}, Retry_After="0")
    ended = link("a:u", "b:u", "--url", api.url)
    assert ended.status == 2
    assert ended.out.endswith("1 of 2 keys: 0 linked, 0 linked already, 1 failed (1 conflict).\n")
    assert ended.err.endswith(
        "The API stays busy: it answered 503 5 times. The database is out of reach.\n"
        "Run the same command again: what is linked already stays so.\n"
    )


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            400,
            {"message": "The request is malformed.", "details": [{"where": "relink", "what": "not a boolean"}]},
            "The API answered 400: The request is malformed. relink: not a boolean.\n",
        ),
        (
            403,
            {"Message": "User is not authorized"},
            (
                "The API answered 403: User is not authorized. Look at --url, which ends with the API's stage, and at"
                " whether your AWS credentials or your --token may call it.\n"
            ),
        ),
        (404, b"<html>", "The API answered 404. Look at --url, which ends with the API's stage.\n"),
        (500, {"message": "The service failed."}, "The API answered 500: The service failed.\n"),
        (500, ["?"], "The API answered 500.\n"),
        (500, {}, "The API answered 500.\n"),
        (200, b"<html>", "What answered is not the linking API. Look at --url.\n"),
        (200, {"errors": {"student-001": "No"}}, "What answered is not the linking API. Look at --url.\n"),
        (200, [], "What answered is not the linking API. Look at --url.\n"),
        (200, b"[" * 100_000, "What answered is not the linking API. Look at --url.\n"),
        (400, b"[" * 100_000, "The API answered 400.\n"),
        (
            200,
            {"errors": {"another": "No"}, "error_codes": {"another": "conflict"}},
            "What answered is not the linking API. Look at --url.\n",
        ),
    ],
)
def test_an_api_that_refuses(link: Link, api: Api, status: int, body: object, reason: str) -> None:
    """What the API refuses ends the command with status 2, the API's own words, and where to look."""
    api.will_answer(status, body)
    ended = link("student-001:alice", "--url", api.url)
    assert (ended.status, ended.err) == (2, reason)


def test_an_api_out_of_reach(link: Link) -> None:
    """Where nothing listens, the status is 2 and standard error says where to look."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        ended = link("student-001:alice", "--url", url)
    assert (ended.status, ended.err) == (
        2,
        f"The API at {url} cannot be reached: [Errno 111] Connection refused. Look at --url and the network.\n",
    )


def test_what_no_host_can_be_called(link: Link) -> None:
    """The name of a host with an empty label is refused in words."""
    ended = link("student-001:alice", "--url", "https://a..b/v1", "--token", "abc")
    assert ended == Ended(
        2, "", "The API at https://a..b/v1 cannot be reached: that is no host's name. Look at --url.\n"
    )


def test_an_api_that_is_silent(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that does not answer is given up after a while."""
    monkeypatch.setattr(api_client, "ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ended = link("student-001:alice", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert ended.status == 2
    assert "does not answer." in ended.err


def test_an_api_that_hangs_up(link: Link, api: Api) -> None:
    """An answer that breaks off ends the command with status 2: nobody knows whether the keys are linked."""
    api.will_answer(200, b"{", Content_Length="100")
    ended = link("student-001:alice", "--url", api.url)
    reason = "peer closed connection without sending complete message body (received 1 bytes, expected 100)"
    assert (ended.status, ended.err) == (
        2,
        f"The API at {api.url} cannot be reached: {reason}. Look at --url and the network.\n",
    )


@pytest.mark.parametrize("url", ["http://example.org/v1", "example.org", "ftp://localhost", "https://", ""])
def test_a_url_that_would_not_protect_keys(link: Link, url: str) -> None:
    """A URL that is neither https nor localhost is refused."""
    ended = link("student-001:alice", "--url", url)
    assert ended.status == 2
    assert "is not an https:// URL (plain http:// is for localhost only)" in ended.err


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(link: Link, api: Api, status: int) -> None:
    """A redirect ends the command: what is sent is not for another address."""
    api.will_answer(status, {}, Location=f"{api.url}/elsewhere")
    ended = link("student-001:alice", "--url", api.url, "--token", "abc")
    assert (ended.status, ended.err) == (
        2,
        f"The API answered {status}. Redirects are not followed: look at --url.\n",
    )
    assert len(api.received) == 1


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_localhost_is_reached_directly(link: Link, api: Api, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """No proxy is asked for what is on this machine."""
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    api.will_answer(200, ALL_LINKED)
    assert link("student-001:alice", "--url", api.url.replace("127.0.0.1", "LOCALHOST")).status == 0


def test_rosters_are_named(link: Link, api: Api, tmp_path: Path) -> None:
    """Above 10,000 lines, the command says that the API takes rosters, and goes on."""
    roster = tmp_path / "roster.csv"
    roster.write_text("".join(f"{number},nobody\n" for number in range(10_001)), encoding="utf-8")
    for _ in range(2):
        api.will_answer(200, ALL_LINKED)
    ended = link("--csv", str(roster), "--url", api.url)
    assert ended.status == 0
    assert "`program-linking roster`" in ended.err
