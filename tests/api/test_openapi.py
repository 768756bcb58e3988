"""The OpenAPI document: what it promises is what the API does."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from local.serve import Gateway
from tests.support import load_event

RUN_SECONDS = 600
# That no key could be linked is an answer, and none that a schema could foresee.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["200", "207", "422"]

# More rows than are taken are refused as too large.
[checks.negative_data_rejection]
expected-statuses = ["400", "404", "405", "413", "422"]

# Nor can it foresee who is there, which parameters go together, and which cursors there are.
[[operations]]
include-path-regex = "^/(learners|programs/)"
[operations.checks.positive_data_acceptance]
expected-statuses = ["200", "207", "400", "404", "422"]
"""


@pytest.fixture
def url(lms: Lms) -> Iterator[str]:
    """The API on localhost, in front of an LMS with a few students."""
    for number in range(1, 4):
        lms.user(("alice", "bob", "carol")[number - 1])
        lms.enrollment(f"student-{number:03}", [lms.course(f"edX/{number}/2026")])
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        server.daemon_threads = False  # so that it ends with all its connections closed
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def document() -> dict[str, Any]:
    """The OpenAPI document as the API gives it away."""
    event = load_event("api-link") | {"path": "/openapi.json", "httpMethod": "GET", "body": None}
    answer = lambda_handler(event, invocation())
    assert (answer["statusCode"], answer["multiValueHeaders"]["Content-Type"]) == (200, ["application/json"])
    return dict(json.loads(answer["body"]))


# The phase named coverage takes a minute, for it sends lists of 10,000 and more again and again.
@pytest.mark.storm
@pytest.mark.parametrize(
    ("examples", "options"), [(3, ["--phases", "examples,fuzzing"]), pytest.param(50, [], marks=pytest.mark.slow)]
)
def test_schemathesis(url: str, tmp_path: Path, examples: int, options: list[str]) -> None:
    """Schemathesis sends what the document allows and what it does not, and every answer is as documented."""
    schemathesis(url, tmp_path, CONFIGURATION, examples, *options)


def schemathesis(url: str, folder: Path, configuration: str, examples: int, *options: str) -> None:
    """Let Schemathesis try the API at a URL; hold that it finds nothing."""
    file = folder / "schemathesis.toml"
    file.write_text(configuration)
    program = Path(sys.executable).with_name("schemathesis")
    run = subprocess.run(
        [
            *(program, "--config-file", file, "run", f"{url}/openapi.json", "--no-color"),
            *options,
            *("--checks", "all", "--seed", "1", "--max-examples", str(examples), "--generation-database", "none"),
            "--continue-on-failure",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_information(document: Mapping[str, Any]) -> None:
    """The document names the API, its version and what it is for."""
    assert (document["info"]["title"], document["info"]["version"]) == ("Program linking", "1.0.0")
    assert document["info"]["description"].startswith(
        "Links the external student keys of Open edX programs to LMS accounts.\n\nA request names a program and"
    )


def test_operation(document: Mapping[str, Any]) -> None:
    """The document names each operation; of linking, each status that it may answer with, and the answer's model."""
    assert document["info"]["title"] == "Program linking"
    assert sorted(document["paths"]) == [
        "/learners",
        "/links",
        "/programs",
        "/programs/{program_uuid}/courses/{course_key}/enrollments",
        "/programs/{program_uuid}/enrollments",
    ]
    assert list(document["paths"]["/links"]) == ["post"]
    operation = document["paths"]["/links"]["post"]
    assert operation["summary"] == "Link external user keys to LMS accounts"
    assert operation["requestBody"]["required"]
    assert models(operation["requestBody"]) == "LinkRequest"
    assert {status: models(answer) for status, answer in operation["responses"].items()} == {
        "200": "LinkResponse",
        "207": "LinkResponse",
        "422": "LinkResponse",
        "400": "Problem",
        "413": "Problem",
        "500": "Problem",
        "503": "Problem",
    }
    assert all(answer["description"] for answer in operation["responses"].values())


@pytest.mark.parametrize(
    ("path", "model", "parameters"),
    [
        ("/programs", "ProgramsAnswer", []),
        (
            "/programs/{program_uuid}/enrollments",
            "EnrollmentsAnswer",
            ["program_uuid", "waiting", "status", "curriculum_uuid", "page_size", "cursor"],
        ),
        ("/learners", "Learner", ["external_user_key", "username", "program_uuid"]),
    ],
)
def test_reading(document: Mapping[str, Any], path: str, model: str, parameters: list[str]) -> None:
    """Of reading, the document has each parameter with what it may be, and each status with its model."""
    operation = document["paths"][path]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == parameters
    for parameter in operation["parameters"]:
        assert parameter["description"]
        assert {"format", "enum", "maxLength", "maximum"} & set(parameter["schema"]) or parameter["name"] == "waiting"
    answers = operation["responses"]
    assert answers["200"]["content"].pop("text/csv", {"schema": {"type": "string"}}) == {"schema": {"type": "string"}}
    assert {status: models(answer) for status, answer in answers.items()} == {
        "200": model,
        **({"404": "Problem"} if path == "/learners" else {}),
        **dict.fromkeys(["400", "413", "500", "503"], "Problem"),
    }


def models(content: Mapping[str, Any]) -> str:
    """The name of the one model of a body, which is JSON."""
    [(media_type, schema)] = content["content"].items()
    assert media_type == "application/json"
    return str(schema["schema"]["$ref"]).removeprefix("#/components/schemas/")


def test_request(document: Mapping[str, Any]) -> None:
    """The request has the contract's fields, and no others are allowed."""
    request = document["components"]["schemas"]["LinkRequest"]
    assert sorted(request["properties"]) == [
        "curriculum_uuid",
        "dry_run",
        "external_keys_to_usernames",
        "ignore_case",
        "program_uuid",
        "relink",
    ]
    assert sorted(request["required"]) == ["external_keys_to_usernames", "program_uuid"]
    assert request["additionalProperties"] is False
    fields = request["properties"]
    for name in ("program_uuid", "curriculum_uuid"):
        assert (fields[name]["type"], fields[name]["format"]) == ("string", "uuid")
    for name in ("relink", "dry_run", "ignore_case"):
        assert (fields[name]["type"], fields[name]["default"]) == ("boolean", False)
    keys = fields["external_keys_to_usernames"]
    assert keys["maxProperties"] == 10_000
    assert keys["propertyNames"] == {"minLength": 1, "maxLength": 255}
    [username] = keys["patternProperties"].values()
    assert (username["type"], username["minLength"], username["maxLength"]) == ("string", 1, 150)


def test_answers(document: Mapping[str, Any]) -> None:
    """The answers have the contract's fields, and the codes are listed."""
    schemas = document["components"]["schemas"]
    assert sorted(schemas["LinkResponse"]["properties"]) == [
        "dry_run",
        "error_codes",
        "errors",
        "linked",
        "program_uuid",
    ]
    assert sorted(schemas["LinkResponse"]["required"]) == ["error_codes", "errors", "linked", "program_uuid"]
    assert sorted(schemas["Problem"]["properties"]) == ["details", "message"]
    assert sorted(schemas["Code"]["enum"]) == [
        "already-linked",
        "ambiguous-key",
        "conflict",
        "course-not-found",
        "integrity-error",
        "not-in-program",
        "user-not-found",
    ]


def test_strings_are_bounded(document: Mapping[str, Any]) -> None:
    """Every string that goes in or comes out has a longest length, a format or a list of values."""
    schemas = document["components"]["schemas"]
    for name in ("LinkRequest", "LinkResponse", "Problem", "Detail", "Code"):
        for schema in parts(schemas[name]):
            if schema.get("type") == "string":
                assert {"maxLength", "format", "enum"} & set(schema), (name, schema)


def parts(schema: object) -> Iterator[Mapping[str, Any]]:
    """A schema and all schemas in it."""
    if isinstance(schema, Mapping):
        yield schema
        for part in schema.values():
            yield from parts(part)
    if isinstance(schema, list):
        for part in schema:
            yield from parts(part)


def test_examples(document: Mapping[str, Any]) -> None:
    """The examples are the request of the event that a person would try, and one for each option."""
    batch = {
        "program_uuid": PROGRAM,
        "external_keys_to_usernames": {"student-001": "alice", "student-002": "bob"},
    }
    body = document["paths"]["/links"]["post"]["requestBody"]["content"]["application/json"]
    assert [example["value"] for example in body["examples"].values()] == [
        batch,
        {**batch, "curriculum_uuid": "c0ffee00-0000-4000-8000-000000000001"},
        {**batch, "relink": True},
        {**batch, "dry_run": True},
        {**batch, "external_keys_to_usernames": {"STUDENT-001": "alice"}, "ignore_case": True},
    ]


def test_no_schemas_but_our_own(document: Mapping[str, Any]) -> None:
    """Each schema of the document is one that a request or an answer has."""
    linking = {"Code", "Detail", "LinkRequest", "LinkResponse", "Problem"}
    reading = {"ProgramsAnswer", "Program", "EnrollmentsAnswer", "ListedEnrollment"}
    writing = {"NewProgramRowFields", "ProgramRowFields", "CourseRowFields", "EnrollmentStatuses"}
    learner = {"Learner", "Account", "Enrollment", "Course", "CourseEnrollment", "Change", "Difference", "Finding"}
    assert set(document["components"]["schemas"]) == linking | reading | learner | writing


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
@pytest.mark.parametrize(
    ("context", "address"),
    [
        pytest.param({"stage": "v1", "path": "/v1/docs"}, "/v1", id="a stage of API Gateway's own host"),
        pytest.param({"stage": "v1", "path": "/docs"}, "/", id="a domain of one's own"),
        pytest.param({"stage": "v1", "path": "/linking{path}"}, "/linking", id="a path of a domain"),
        pytest.param({"stage": None, "path": None}, "/", id="localhost"),
    ],
)
def test_address(path: str, context: dict[str, str | None], address: str) -> None:
    """Document and page send requests to the address that they came from, the stage included."""
    event = load_event("api-link") | {"path": path, "httpMethod": "GET", "body": None}
    seen = {name: value and value.format(path=path) for name, value in context.items()}
    answer = lambda_handler(event | {"requestContext": event["requestContext"] | seen}, invocation())
    assert json.dumps({"servers": [{"url": address}]})[1:-1].replace(" ", "") in re.sub(r"\s", "", answer["body"])


def test_page() -> None:
    """There is a page on which a person can try the API, with its name, its description and all examples."""
    answer = lambda_handler(load_event("api-link") | {"path": "/docs", "httpMethod": "GET", "body": None}, invocation())
    assert (answer["statusCode"], answer["multiValueHeaders"]["Content-Type"]) == (200, ["text/html"])
    assert "<title>Program linking</title>" in answer["body"]
    for shown in ("A request names a program and", "/links", "Link two keys", "Match keys whatever their case"):
        assert shown in answer["body"]
    assert "HTTPValidationError" not in answer["body"]
