"""Events that nobody should send."""

import base64
import io
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lambda_runtime.observability import logger
from local.lms import PROGRAM, Lms
from tests.faults.abuse import check, load_canary
from tests.faults.support import IS_SOAK, link, rounds
from tests.support import Post, load_event

FUZZING_SECONDS = 600
ANY_TEXT = st.text(st.characters())  # lone surrogates included
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(ANY_TEXT, values, max_size=4),
    max_leaves=12,
)
STRINGS = st.sampled_from(["student-001", "alice", "Student-001", "\0", "\ud800", "", " ", "'", "é", "😀"]) | ANY_TEXT
UUIDS = st.sampled_from([PROGRAM, PROGRAM.upper(), f"{{{PROGRAM}}}", "urn:uuid:" + PROGRAM, "5f0c2e7e"])
REQUESTS = st.fixed_dictionaries(
    {
        "program_uuid": UUIDS | JSON_VALUES,
        "external_keys_to_usernames": st.dictionaries(STRINGS, STRINGS | JSON_VALUES, max_size=5) | JSON_VALUES,
    },
    optional={
        "curriculum_uuid": UUIDS | JSON_VALUES,
        "relink": st.booleans() | JSON_VALUES,
        "dry_run": st.booleans() | JSON_VALUES,
        "ignore_case": st.booleans() | JSON_VALUES,
    },
)
GOOD_REQUESTS = st.fixed_dictionaries(
    {
        "program_uuid": st.just(PROGRAM),
        "external_keys_to_usernames": st.dictionaries(STRINGS, STRINGS, max_size=5),
    },
    optional={"relink": st.booleans(), "dry_run": st.booleans(), "ignore_case": st.booleans()},
)
BODIES = (
    (REQUESTS | GOOD_REQUESTS | JSON_VALUES).map(json.dumps)
    | GOOD_REQUESTS.map(lambda request: json.dumps(request, ensure_ascii=False))
    | st.binary().map(lambda body: base64.b64encode(body).decode())
    | ANY_TEXT
    | st.none()
)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "content-type", "Accept", "Origin", "Content-Encoding", "Cookie"]) | ANY_TEXT,
    st.sampled_from(["application/json", "application/json; charset=utf-16", "multipart/form-data"]) | ANY_TEXT,
    max_size=4,
)
HTTP_EVENTS = st.fixed_dictionaries(
    {"body": BODIES, "isBase64Encoded": st.booleans()},
    optional={
        "httpMethod": st.sampled_from(["POST", "GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]) | ANY_TEXT,
        "path": st.sampled_from(["/links", "/links/", "/openapi.json", "/docs", "/", ""]) | ANY_TEXT,
        "headers": HEADERS | st.none(),
        "multiValueHeaders": st.none() | st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT), max_size=3),
        "queryStringParameters": st.none() | st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3),
        "multiValueQueryStringParameters": st.none() | st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT), max_size=3),
        "pathParameters": st.none() | st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3),
    },
).map(lambda changes: load_event("api-link") | changes)
STRANGE_HTTP_EVENTS = st.dictionaries(
    st.sampled_from(list(load_event("api-link"))), JSON_VALUES, min_size=1, max_size=4
).map(lambda changes: load_event("api-link") | changes)
BARE_HTTP_EVENTS = st.fixed_dictionaries(
    {"httpMethod": ANY_TEXT | st.just("POST"), "requestContext": st.just({"requestId": "1"})},
    optional={"path": st.just("/links") | JSON_VALUES, "headers": JSON_VALUES, "body": BODIES | JSON_VALUES},
)
EVENTS = {
    "direct": JSON_VALUES | REQUESTS | GOOD_REQUESTS,
    "http": HTTP_EVENTS,
    "strange http": STRANGE_HTTP_EVENTS | BARE_HTTP_EVENTS,
}

HOSTILE = [
    "'; DROP TABLE auth_user; --",
    "' OR '1'='1",
    "alice'--",
    '"; SELECT pg_sleep(10); --',
    "$$; DROP TABLE auth_user; $$",
    "{student-001,student-002}",
    '{"student-001": "alice"}',
    ":external_user_keys",
    "%(key)s %s {key} {0} $1 ${jndi:ldap://x}",
    "NULL",
    "student-001\nWARNING forged",
    "student-001\r\n\r\nHTTP/1.1 200 OK",
    '","level":"INFO","message":"forged',
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x08\x7f",
    "\u2028\u2029\u0085",
    "\u202egnirts desrever",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\\",
    "\\'; --",
    "😀" * 30,
    "a\tb",
]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the Lambda logs."""
    stream = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    former = handler.setStream(stream)
    yield stream
    handler.setStream(former)


@pytest.mark.parametrize("kind", EVENTS)
def test_no_event_breaks_the_lambda(lms: Lms, kind: str, record_property: Callable[[str, object], None]) -> None:
    """Whatever event comes, it is answered or refused in the service's own words, and nothing leaks."""
    load_canary(lms)
    seen: Counter[str] = Counter()

    @hypothesis_settings(
        max_examples=rounds(100, 20_000), deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(EVENTS[kind])
    def abuse(event: Any) -> None:  # noqa: ANN401 - anything may come
        seen[check(event)] += 1

    abuse()
    record_property("figures", dict(sorted(seen.items())))


@pytest.mark.skipif(not IS_SOAK, reason="it takes ten minutes: make soak")
def test_fuzzing_does_not_break_the_lambda(
    lms: Lms, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """In ten minutes of events that are made to reach ever more of the code, none breaks the Lambda."""
    load_canary(lms)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    options = [f"-max_total_time={FUZZING_SECONDS}", "-max_len=4096", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults.fuzz", str(corpus), *options],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4_000:]
    record_property("figures", run.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_strings_are_strings(lms: Lms, post: Post, log: io.StringIO, hostile: str) -> None:
    """A hostile key or username is found in answer and log as it was sent, and has no other effect."""
    lms.user("alice")
    lms.enrollment("student-001")
    expected = {
        hostile: f"No program enrollment found for program uuid={PROGRAM} and external student key={hostile}",
        "student-001": f"No user found with username {hostile}",
    }
    batch = {hostile: "alice", "student-001": hostile}
    assert link(batch)["errors"] == expected
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": batch})
    assert (status, answer["errors"]) == (422, expected)
    records = [json.loads(line) for line in log.getvalue().removesuffix("\n").split("\n")]
    assert [record["errors"] for record in records] == [expected, expected]
    assert {record["level"] for record in records} == {"WARNING"}
    assert "\x1b" not in log.getvalue()
    assert lms.rows("auth_user", "username") == [["alice"]]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_strings_link(lms: Lms, hostile: str) -> None:
    """A hostile key of the program and its hostile username are linked like any other."""
    user_id = lms.user(hostile)
    lms.enrollment(hostile, [lms.course()])
    assert link({hostile: hostile})["linked"] == 1
    assert lms.rows("program_enrollments_programenrollment", "external_user_key, user_id") == [[hostile, user_id]]
    assert link({hostile.swapcase(): hostile}, ignore_case=True)["error_codes"] == {
        hostile.swapcase(): "already-linked"
    }
