"""/rosters: what is asked for, what is answered, and what is refused."""

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.roster.app import lambda_handler
from lambda_runtime.refusals import InvalidRequest
from local.invocation import invocation
from local.lms import CURRICULUM, PROGRAM, Lms
from program_enrollments.limits import MOST_BYTES
from roster_function import bucket
from tests.rosters.described import document, operation_at, validator
from tests.rosters.support import BUCKET, Machine, arrive, call, csv_of, drop, pairs, put_event, status

ANOTHER = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"


def submit(**fields: object) -> dict[str, Any]:
    """Ask for a roster."""
    code, answer = call("POST", "/rosters", {"program_uuid": PROGRAM, **fields})
    assert code == 201
    return answer


def is_described(body: object) -> bool:
    """Whether the OpenAPI document allows a body."""
    operation = operation_at("POST", "/rosters")
    assert operation
    return bool(validator(operation["requestBody"]).is_valid(body))


def upload(answer: dict[str, Any], data: str) -> dict[str, Any]:
    """Put the file where the answer says, as the form would; return S3's event."""
    put = bucket.s3().put_object(Bucket=BUCKET, Key=answer["upload"]["fields"]["key"], Body=data.encode())
    return put_event(answer["upload"]["fields"]["key"], put["VersionId"])


def test_a_roster_that_waits_for_its_file(rosters: Machine, cohort: Lms) -> None:
    """POST /rosters answers with an id and a form for the file; once the file is there, it is linked as was asked."""
    answer = submit(ignore_case=True, curriculum_uuid=CURRICULUM, hold_above_percent=50)
    assert (answer["state"], answer["submitted_by"], answer["keys"]) == ("waiting-for-file", "arn:me", None)
    event = upload(answer, csv_of({"KEY0": "user0"}))
    arrive(event)
    arrive(event)
    assert rosters.started == [answer["roster_id"]]
    rosters.walk()
    shown = status(answer["roster_id"])
    assert (shown["state"], shown["linked"], shown["submitted_by"]) == ("finished", 1, "arn:me")
    assert shown["options"] == {
        "kind": "links",
        "relink": False,
        "dry_run": False,
        "ignore_case": True,
        "curriculum_uuid": CURRICULUM,
        "hold_above_percent": 50,
    }


def test_another_version_is_another_roster(rosters: Machine, cohort: Lms) -> None:
    """A second file through the same form does not change the first one's roster."""
    answer = submit()
    arrive(upload(answer, csv_of(pairs())))
    arrive(upload(answer, csv_of(pairs(3))))
    assert len(set(rosters.started)) == 2
    assert rosters.walk()["summary"]["keys"] == 3
    assert status(answer["roster_id"])["state"] == "checking"


def test_the_form_has_limits(rosters: Machine) -> None:
    """The form takes one name, at most 200 MB, for 15 minutes; it goes to the bucket in its region."""
    answer = submit()
    policy = json.loads(base64.b64decode(answer["upload"]["fields"]["policy"]))
    assert ["content-length-range", 0, MOST_BYTES] in policy["conditions"]
    assert {"key": f"rosters/{PROGRAM}/{answer['roster_id']}.csv"} in policy["conditions"]
    seconds = (datetime.fromisoformat(policy["expiration"]) - datetime.now(UTC)).total_seconds()
    assert 800 < seconds <= 900
    assert answer["upload"]["url"] == f"https://{BUCKET}.s3.eu-west-1.amazonaws.com/"


@pytest.mark.slow
def test_links_to_results_expire(rosters: Machine, cohort: Lms) -> None:
    """A roster that has ended has links to its results, which are good for an hour and save under their names."""
    arrive(drop(csv_of(pairs())))
    shown = status(rosters.walk()["roster_id"])
    assert list(shown["results"]) == ["failed.csv", "results.csv", "summary.json"]
    for name, link in shown["results"].items():
        query = parse_qs(urlsplit(link).query)
        assert query["X-Amz-Expires"] == ["3600"]
        assert query["response-content-disposition"] == [f'attachment; filename="{name}"']


def test_the_list_has_the_newest_first_in_pages(rosters: Machine) -> None:
    """The rosters of a program come newest first, page by page, without those of another program."""
    made = [submit()["roster_id"] for _ in range(5)]
    submit(program_uuid=ANOTHER)
    seen: list[str] = []
    query = {"program_uuid": PROGRAM, "page_size": "2"}
    while True:
        code, page = call("GET", "/rosters", query=query)
        assert code == 200
        assert len(page["results"]) <= 2
        seen += [each["roster_id"] for each in page["results"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("method", "path", "status_code"),
    [
        ("PUT", "/rosters", 405),
        ("POST", f"/rosters/{PROGRAM}", 405),
        ("GET", f"/rosters/{PROGRAM}/stop", 405),
        ("GET", f"/rosters/{PROGRAM}", 404),
        ("POST", f"/rosters/{PROGRAM}/stop", 404),
        ("GET", "/rosters/nonsense", 404),
        ("GET", f"/rosters/{PROGRAM}/results", 404),
        ("GET", "/rostersx", 404),
    ],
)
def test_paths_and_methods(rosters: Machine, method: str, path: str, status_code: int) -> None:
    """What is not there is 404, and what cannot be done with it 405, with a sentence."""
    code, answer = call(method, path)
    assert code == status_code
    assert answer["message"].endswith(".")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "program_uuid: is required"),
        ({"program_uuid": "x"}, "program_uuid: must be a UUID"),
        ({"program_uuid": PROGRAM, "relinck": True}, "relinck: is not known; the fields are dry_run, curriculum_uuid"),
        ({"program_uuid": PROGRAM, "relink": "true"}, "relink: must be true or false"),
        ({"program_uuid": PROGRAM, "curriculum_uuid": None}, "curriculum_uuid: must be a UUID"),
        ({"program_uuid": PROGRAM, "hold_above_percent": -1}, "hold_above_percent: must be at least 0"),
        ({"program_uuid": PROGRAM, "hold_above_percent": 100.5}, "hold_above_percent: must be at most 100"),
        ({"program_uuid": PROGRAM, "hold_above_percent": "5"}, "hold_above_percent: must be a number"),
        ({"program_uuid": PROGRAM, "hold_above_percent": True}, "hold_above_percent: must be a number"),
        ("[]", "body: must be a JSON object"),
        ("", "line 1, column 1: stops being JSON here"),
        ('{"program_uuid": "a", "program_uuid": "b"}', "program_uuid: occurs twice"),
    ],
)
def test_bad_bodies(rosters: Machine, body: object, message: str) -> None:
    """A body that is not as it should be is 400, with what is wrong and where."""
    code, answer = call("POST", "/rosters", body)
    assert code == 400
    assert not is_described(body)
    assert any(f"{each['where']}: {each['what']}".startswith(message) for each in answer["details"])


@pytest.mark.parametrize(
    ("query", "where"),
    [
        (None, "program_uuid"),
        ({"program_uuid": "x"}, "program_uuid"),
        ({"program_uuid": PROGRAM, "page_size": "0"}, "page_size"),
        ({"program_uuid": PROGRAM, "page_size": "101"}, "page_size"),
        ({"program_uuid": PROGRAM, "page_size": "x"}, "page_size"),
        ({"program_uuid": PROGRAM, "cursor": "../x"}, "cursor"),
        ({"program_uuid": PROGRAM, "state": "failed"}, "state"),
    ],
)
def test_bad_queries(rosters: Machine, query: dict[str, str] | None, where: str) -> None:
    """A parameter that is not known, or not as it should be, is 400: it must not widen an answer."""
    code, answer = call("GET", "/rosters", query=query)
    assert (code, answer["details"][0]["where"]) == (400, where)


def test_parameters_where_there_are_none(rosters: Machine) -> None:
    """A roster and its verbs take no parameters, and a list each of its own only once."""
    roster_id = submit()["roster_id"]
    assert call("GET", f"/rosters/{roster_id}", query={"verbose": "1"})[0] == 400
    twice = {"program_uuid": [PROGRAM, ANOTHER]}
    assert call("GET", "/rosters", query={"program_uuid": PROGRAM}, multiValueQueryStringParameters=twice)[0] == 400


def test_the_document_has_each_path() -> None:
    """The OpenAPI document of a service with rosters has their paths, with the methods and answers of each."""
    described = {
        f"{method.upper()} {path}": list(operation["responses"])
        for path, operations in document()["paths"].items()
        if path.startswith("/rosters")
        for method, operation in operations.items()
    }
    assert described == {
        "POST /rosters": ["201", "400", "413", "500"],
        "GET /rosters": ["200", "400", "500"],
        "GET /rosters/{roster_id}": ["200", "400", "404", "500"],
        "POST /rosters/{roster_id}/stop": ["200", "400", "404", "409", "500"],
        "POST /rosters/{roster_id}/resume": ["200", "400", "404", "409", "500"],
    }
    listing = document()["paths"]["/rosters"]["get"]["parameters"]
    assert [(each["name"], each.get("required", False)) for each in listing] == [
        ("program_uuid", True),
        ("page_size", False),
        ("cursor", False),
    ]


def test_callers_by_token(rosters: Machine) -> None:
    """Who submitted is the client and the username of a token, too."""
    who = {"authorizer": {"claims": {"client_id": "registrar", "username": "ada"}}}
    code, answer = call("POST", "/rosters", {"program_uuid": PROGRAM}, requestContext=who)
    assert (code, answer["submitted_by"]) == (201, "registrar, ada")


def test_behind_a_path_mapping(rosters: Machine) -> None:
    """A path mapping of a custom domain before /rosters is no part of the route."""
    roster_id = submit()["roster_id"]
    found = {"roster": roster_id}
    _, answer = call("GET", f"/linking/rosters/{roster_id}", resource="/rosters/{roster+}", pathParameters=found)
    assert answer["roster_id"] == roster_id
    assert call("GET", "/linking/rosters", query={"program_uuid": PROGRAM}, resource="/rosters")[0] == 200


def test_other_doors(rosters: Machine) -> None:
    """An event of another front door is answered in one sentence, as LinkFunction does."""
    answer = lambda_handler({"version": "2.0", "requestContext": {"http": {"method": "GET"}}}, invocation())
    assert answer["statusCode"] == 501
    assert json.loads(answer["body"])["message"].startswith("This is an event of an HTTP API's payload 2.0, or of")


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "plan",
        {},
        {"step": "plan"},
        {"roster_id": "r"},
        {"roster_id": "r", "step": "no"},
        {"source": "aws.s3"},
    ],
)
def test_what_is_no_event_of_rosters(rosters: Machine, event: object) -> None:
    """A payload that is neither a request nor an event of the bucket nor a step is refused in words."""
    with pytest.raises(InvalidRequest, match="This is no request, no event of the bucket, and no step"):
        lambda_handler(event, invocation())


def test_a_roster_that_waits_is_not_stopped(rosters: Machine) -> None:
    """Nothing runs before the file is there: stop and resume are 409."""
    roster_id = submit()["roster_id"]
    for verb in ("stop", "resume"):
        assert call("POST", f"/rosters/{roster_id}/{verb}")[0] == 409


def test_an_unforeseen_failure(rosters: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is 500 in words of our own."""
    monkeypatch.setattr(bucket, "load", lambda _: 1 / 0)
    code, answer = call("GET", f"/rosters/{PROGRAM}")
    assert code == 500
    assert not re.search("zero|Error", answer["message"])
