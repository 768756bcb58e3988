"""Reading over HTTP: what may be asked, what comes back, and in which form."""

import csv
import io
from urllib.parse import quote, urlencode

import pytest

from link_function.questions import wants_csv
from local.lms import CURRICULUM, PROGRAM, Lms
from tests.reading.conftest import Get
from tests.support import Printed

ENROLLMENTS = f"/programs/{PROGRAM}/enrollments"
OTHER_PROGRAM = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"
ADDRESS = "https://abcdef1234.execute-api.eu-west-1.amazonaws.com/v1"


def test_programs(lms: Lms, get: Get) -> None:
    """The programs come with their numbers; without any, the list is empty."""
    assert get("/programs").json == {"programs": []}
    lms.enrollment("student-001", user_id=lms.user("alice"))
    lms.enrollment("student-002")
    answer = get("/programs")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == {"programs": [{"program_uuid": PROGRAM, "enrollments": 2, "linked": 1, "waiting": 1}]}


def test_pages_name_the_pages_beside_them(lms: Lms, get: Get) -> None:
    """From the first page to the last and back, each address leads to the next rows, with the same filters."""
    lms.enrollment("linked", user_id=lms.user("alice"))
    names = [f"student-{number}" for number in range(5)]
    for name in names:
        lms.enrollment(name)
    pages = [get(f"{ENROLLMENTS}?waiting=true&page_size=2&curriculum_uuid={CURRICULUM}&status=enrolled").json]
    while address := pages[-1]["next"]:
        assert address.startswith(f"{ADDRESS}{ENROLLMENTS}?")
        pages.append(get(address).json)
    assert [[row["student_key"] for row in page["results"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    assert pages[0]["previous"] is None
    assert get(pages[2]["previous"]).json["results"] == pages[1]["results"]
    assert get(pages[1]["previous"]).json == pages[0]


def test_a_page_as_csv(lms: Lms, get: Get) -> None:
    """As CSV, a page has the same rows in the same columns, and its Link header has the same addresses."""
    lms.enrollment("linked", user_id=lms.user("alice"))
    for key in ('comma, "quote"', "=1+1", "Schlüssel\nλ", "last"):
        lms.enrollment(key)
    plain = get(f"{ENROLLMENTS}?page_size=4")
    page = get(f"{ENROLLMENTS}?page_size=4", accept="text/csv")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert plain.headers["Vary"] == page.headers["Vary"] == "Accept"
    assert plain.headers["Link"] == page.headers["Link"] == f'<{plain.json["next"]}>; rel="next"'
    assert list(csv.DictReader(io.StringIO(page.text, newline=""))) == [
        {**row, "account_exists": str(row["account_exists"]).lower(), "username": row["username"] or ""}
        for row in plain.json["results"]
    ]
    last = get(plain.json["next"], accept="text/csv")
    assert last.headers["Link"] == f'<{get(plain.json["next"]).json["previous"]}>; rel="previous"'
    assert "Link" not in get(ENROLLMENTS, accept="text/csv").headers


@pytest.mark.parametrize(
    ("accept", "is_csv"),
    [
        ("", False),
        ("*/*", False),
        ("text/csv", True),
        ("Text/CSV; charset=utf-8", True),
        ("text/*", True),
        ("application/json", False),
        ("application/json, text/csv", False),
        ("application/json;q=0.9, text/csv", True),
        ("text/csv;q=0.9, application/json", False),
        ("text/csv, */*", True),
        ("text/csv;q=0.5, */*", False),
        ("text/csv;q=0, */*", False),
        ("application/xml", False),
        ("text/csv;q=nan", False),
        ("text/csv;q=2", False),
        ("text/csv; q=0.001", True),
        (";;,,q=1", False),
    ],
)
def test_the_form_that_is_preferred(accept: str, is_csv: bool) -> None:  # noqa: FBT001 - a row of the table
    """CSV is for those who prefer it to JSON: by weight, and then by how exactly they name it."""
    assert wants_csv({"headers": {"accept": accept}}) is is_csv
    assert wants_csv({"multiValueHeaders": {"ACCEPT": accept.split(",")}}) is is_csv


def test_a_question_that_is_not_understood_is_refused(get: Get) -> None:
    """Whatever is unknown, malformed or there twice is refused in words that name it and what is known."""
    known = "waiting, status, curriculum_uuid, page_size, cursor"
    refused = {
        f"{ENROLLMENTS}?waitng=true": ("waitng", f"is not known; the fields are {known}"),
        f"{ENROLLMENTS}?Waiting=true": ("Waiting", f"is not known; the fields are {known}"),
        f"{ENROLLMENTS}?waiting=TRUE": ("waiting", "must be true or false"),
        f"{ENROLLMENTS}?waiting=1": ("waiting", "must be true or false"),
        f"{ENROLLMENTS}?waiting=": ("waiting", "must be true or false"),
        f"{ENROLLMENTS}?waiting=true&waiting=false": ("waiting", "must be given once"),
        f"{ENROLLMENTS}?page_size=10&page_size=10": ("page_size", "must be given once"),
        f"{ENROLLMENTS}?page_size=0": ("page_size", "must be at least 1"),
        f"{ENROLLMENTS}?page_size=1001": ("page_size", "must be at most 1000"),
        f"{ENROLLMENTS}?page_size=-1": ("page_size", "must be a whole number"),
        f"{ENROLLMENTS}?page_size=1e2": ("page_size", "must be a whole number"),
        f"{ENROLLMENTS}?page_size={'9' * 5000}": ("page_size", "must be a whole number"),
        f"{ENROLLMENTS}?page_size={quote('٣')}": ("page_size", "must be a whole number"),
        f"{ENROLLMENTS}?curriculum_uuid=none": ("curriculum_uuid", "must be a UUID"),
        f"{ENROLLMENTS}?status=Enrolled": (
            "status",
            "must be 'enrolled', 'pending', 'suspended', 'canceled' or 'ended'",
        ),
        "/programs/no-uuid/enrollments": ("program_uuid", "must be a UUID"),
        "/programs?page_size=10": ("page_size", "is not known; nothing can be asked for here"),
        "/learners": ("external_user_key", "is required, unless there is a username"),
        f"/learners?program_uuid={PROGRAM}": ("external_user_key", "is required, unless there is a username"),
        "/learners?external_user_key=": ("external_user_key", "must not be empty"),
        "/learners?external_user_key=a%00": ("external_user_key", "must not have a NUL character"),
        f"/learners?external_user_key={'a' * 256}": ("external_user_key", "must have at most 255 characters"),
        f"/learners?username={'a' * 151}": ("username", "must have at most 150 characters"),
        "/learners?external_user_key=a&username=b": ("external_user_key", "cannot be given together with username"),
        "/learners?external_user_key=a&external_user_key=b": ("external_user_key", "must be given once"),
        "/learners?external_user_key=a&program_uuid=b": ("program_uuid", "must be a UUID"),
        "/learners?student_key=a": (
            "student_key",
            "is not known; the fields are external_user_key, username, program_uuid",
        ),
    }
    answers = {url: get(url) for url in refused}
    assert {url: answer.status for url, answer in answers.items()} == dict.fromkeys(refused, 400)
    assert {url: answer.json["details"] for url, answer in answers.items()} == {
        url: [{"where": where, "what": what}] for url, (where, what) in refused.items()
    }


def test_an_event_that_no_browser_sends(get: Get) -> None:
    """Queries that are no text, or have lone surrogates, are refused too; one of an event's two forms is enough."""
    odd: list[tuple[str, object]] = [
        ("multiValueQueryStringParameters", {"username": [None]}),
        ("multiValueQueryStringParameters", {"username": []}),
        ("multiValueQueryStringParameters", {"username": ["\ud800"]}),
        ("multiValueQueryStringParameters", {"\ud800": ["a"]}),
        ("queryStringParameters", {"username": "\ud800"}),
        ("queryStringParameters", {"username": None}),
    ]
    assert [get("/learners", changes={name: value}).status for name, value in odd] == [400] * len(odd)
    assert get("/learners", changes={"queryStringParameters": {"username": "nobody"}}).status == 404


def test_a_cursor_is_of_one_question(lms: Lms, get: Get) -> None:
    """A cursor that was changed, cut, made up, or is of another program or filter, is refused."""
    for number in range(3):
        lms.enrollment(f"student-{number}")
    address = get(f"{ENROLLMENTS}?page_size=1").json["next"]
    cursor = address.partition("cursor=")[2]
    changed = [f"{cursor[:place]}{'B' if cursor[place] == 'A' else 'A'}{cursor[place + 1 :]}" for place in range(20)]
    for wrong in [*changed, cursor[:-1], f"{cursor}A", "", "2", f"{cursor[:-1]}=", f"{cursor[:-1]} ", "é" * 20]:
        answer = get(f"{ENROLLMENTS}?{urlencode({'cursor': wrong})}")
        assert (answer.status, answer.json["details"][0]["where"]) == (400, "cursor")
    assert get(f"{ENROLLMENTS}?cursor={cursor}&waiting=true").status == 400
    assert get(f"/programs/{OTHER_PROGRAM}/enrollments?cursor={cursor}").status == 400
    other_size = get(f"{ENROLLMENTS}?cursor={cursor}&page_size=2").json
    assert [row["student_key"] for row in other_size["results"]] == ["student-1", "student-2"]


@pytest.mark.parametrize("key", ["a/b", "a+b", "a b", "a%2Fb", "a&b=c", "λ-ß", "key?#", '"', "null"])
def test_any_key_can_be_asked_for(lms: Lms, get: Get, key: str) -> None:
    """A key that is encoded as a query's values are finds itself, whatever it holds."""
    lms.enrollment(key)
    answer = get(f"/learners?{urlencode({'external_user_key': key})}")
    assert [enrollment["external_user_key"] for enrollment in answer.json["enrollments"]] == [key]


def test_a_learner_who_is_not_there(lms: Lms, get: Get) -> None:
    """Nobody of that name, or no such key, is 404; keys that differ only in case are named with a program."""
    lms.enrollment("Student-001")
    unknown = get("/learners?username=nobody")
    assert (unknown.status, unknown.json) == (404, {"message": "No account has this username.", "details": []})
    assert get("/learners?external_user_key=student-001").json["message"] == (
        "No enrollment has this external user key."
    )
    assert get(f"/learners?external_user_key=student-001&program_uuid={PROGRAM}").json == {
        "message": "No enrollment has this external user key.",
        "details": [{"where": "similar external_user_key", "what": "Student-001"}],
    }


def test_each_read_is_logged_without_keys(lms: Lms, get: Get, printed: Printed) -> None:
    """A read leaves one record: who called, the path, and how many rows there were; neither keys nor usernames."""
    lms.enrollment("secret-key", user_id=lms.user("secret-name"))
    identity = {"userArn": "arn:aws:sts::123456789012:assumed-role/support/ann"}
    context = {"requestId": "1", "path": "/v1/x", "identity": identity}
    reads = {
        "/programs": 1,
        ENROLLMENTS: 1,
        "/learners?username=secret-name": 1,
        "/learners?external_user_key=secret": 0,
    }
    for url, rows in reads.items():
        printed()
        get(url, changes={"requestContext": context})
        [record] = printed()
        assert (record["message"], record["rows"]) == ("Read", rows)
        assert (record["path"], record["caller"]) == (url.partition("?")[0], {"arn": identity["userArn"]})
        assert "secret" not in str(record)


def test_other_methods_are_refused(get: Get) -> None:
    """What only reads takes GET only, HEAD included as everywhere else, and says so."""
    for path in ("/programs", ENROLLMENTS, "/learners"):
        for method in ("HEAD", "DELETE"):
            answer = get(path, method=method)
            assert answer.status == 405
            assert "GET" in answer.headers["Allow"]


def test_a_database_that_is_away(get: Get, no_database: None) -> None:
    """A database that cannot be reached is 503, with the time to wait."""
    answer = get("/programs")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


def test_a_dead_connection_costs_a_reconnect(lms: Lms, get: Get) -> None:
    """A warm connection that died since the last read costs nobody an answer."""
    assert get("/programs").status == 200
    lms.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert get("/programs").status == 200


def test_an_answer_that_does_not_fit_is_refused(lms: Lms, get: Get) -> None:
    """An account whose enrollments would not fit into Lambda's 6 MB is 413; one program of it may fit."""
    user = lms.user("collector")
    lms.run(f"""
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
        SELECT now(), now(), repeat('"', 250) || n, md5(n::text)::uuid, '{CURRICULUM}', 'enrolled', {user}
        FROM generate_series(1, 6000) AS n
    """)
    answer = get("/learners?username=collector")
    assert (answer.status, answer.json["message"]) == (413, "The answer is too large.")
    [[program]] = lms.run("SELECT program_uuid::text FROM program_enrollments_programenrollment LIMIT 1")
    assert get(f"/learners?username=collector&program_uuid={program}").status == 200


def test_the_largest_page_fits(lms: Lms, get: Get) -> None:
    """A thousand rows of the longest and most awkward keys fit into Lambda's 6 MB, in either form."""
    lms.run(f"""
        INSERT INTO auth_user
            (username, password, first_name, last_name, email, is_staff, is_superuser, is_active, date_joined)
        SELECT repeat(chr(1), 146) || n, '', '', '', '', false, false, true, now()
        FROM generate_series(1000, 1999) AS n;
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
        SELECT clock_timestamp(), clock_timestamp(), repeat(chr(1), 255),
            '{PROGRAM}', gen_random_uuid(), 'suspended', id
        FROM auth_user
    """)
    for accept in ("application/json", "text/csv"):
        assert get(f"{ENROLLMENTS}?page_size=1000", accept=accept).status == 200
