"""Which events are HTTP requests, and what is made of their paths and their callers."""

import json
from typing import Any

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import PROGRAM
from tests.support import Printed, load_event

pytestmark = pytest.mark.usefixtures("no_database")

NO_KEYS = json.dumps({"program_uuid": PROGRAM, "external_keys_to_usernames": {}})

# As each of them hands over POST /links.
OTHER_DOORS: dict[str, dict[str, Any]] = {
    "an HTTP API": {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/links",
        "headers": {"content-type": "application/json"},
        "requestContext": {"apiId": "abc", "http": {"method": "POST", "path": "/links"}, "stage": "$default"},
        "body": NO_KEYS,
        "isBase64Encoded": False,
    },
    "a function URL": {
        "version": "2.0",
        "rawPath": "/links",
        "requestContext": {"domainName": "abc.lambda-url.eu-west-1.on.aws", "http": {"method": "POST"}},
        "body": NO_KEYS,
    },
    "Application Load Balancer": {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"}},
        "httpMethod": "POST",
        "path": "/links",
        "queryStringParameters": {},
        "headers": {"content-type": "application/json"},
        "body": NO_KEYS,
        "isBase64Encoded": False,
    },
    "WebSocket": {
        "requestContext": {"routeKey": "$default", "eventType": "MESSAGE", "connectionId": "abc="},
        "body": NO_KEYS,
        "isBase64Encoded": False,
    },
    "Lattice": {"raw_path": "/links", "method": "POST", "headers": {}, "body": NO_KEYS, "is_base64_encoded": False},
    "VPC Lattice": {
        "version": "2.0",
        "path": "/links",
        "method": "POST",
        "requestContext": {"serviceNetworkArn": "arn:aws:vpc-lattice:eu-west-1:1:servicenetwork/a"},
        "body": NO_KEYS,
    },
}


@pytest.mark.parametrize("name", OTHER_DOORS)
def test_other_doors_are_answered(name: str, printed: Printed) -> None:
    """A request through another front door than a REST API is answered in one sentence, and logged."""
    answer = lambda_handler(OTHER_DOORS[name], invocation())
    assert answer["statusCode"] == 501
    assert answer["headers"] == {"Content-Type": "application/json"}
    problem = json.loads(answer["body"])
    assert name in problem["message"]
    assert "send requests through a REST API of API Gateway, or invoke directly." in problem["message"]
    [record] = printed()
    assert (record["level"], record["reason"]) == ("ERROR", problem["message"])


@pytest.mark.parametrize(
    ("path", "proxy", "status"),
    [
        ("/links", "links", 200),
        ("/linking/links", "links", 200),
        ("/a/b/links", "links", 200),
        ("/links/", "links", 200),
        ("/linking/nowhere", "nowhere", 404),
        ("/linking/links", None, 404),
        ("/nowhere", "links", 404),
        ("/sublinks", "links", 404),
    ],
)
def test_path_mapping(path: str, proxy: str | None, status: int) -> None:
    """The route is what API Gateway matched, whatever path of a domain is mapped to the API."""
    event = load_event("api-link") | {"path": path, "pathParameters": proxy and {"proxy": proxy}, "body": NO_KEYS}
    assert lambda_handler(event, invocation())["statusCode"] == status


@pytest.mark.parametrize(
    ("path", "outside", "address"), [("/", "/v1", "/v1/"), ("/", "/v1/", "/v1/"), ("/linking", "/linking", "/linking/")]
)
def test_root_behind_a_path_mapping(path: str, outside: str, address: str) -> None:
    """The root of the API is found with and without a slash, and the page there names the address that it has."""
    event = load_event("api-link") | {"path": path, "resource": "/", "pathParameters": None, "httpMethod": "GET"}
    event["requestContext"] |= {"path": outside}
    answer = lambda_handler(event, invocation())
    assert answer["statusCode"] == 200
    assert f'<base href="{address}">' in answer["body"]


@pytest.mark.parametrize(
    ("path", "resource", "found"),
    [
        ("/linking/docs", "/docs", None),
        ("/linking/openapi.json", "/openapi.json", None),
        ("/linking/page/settings.json", "/page/{file+}", {"file": "settings.json"}),
    ],
)
def test_open_paths_behind_a_path_mapping(path: str, resource: str, found: dict[str, str] | None) -> None:
    """What is open has resources of its own, and is found whatever path of a domain is mapped to the API."""
    event = load_event("api-link") | {"path": path, "resource": resource, "pathParameters": found, "httpMethod": "GET"}
    assert lambda_handler(event, invocation())["statusCode"] == 200


def test_wrong_method_behind_a_path_mapping() -> None:
    """A wrong method is answered by the path below the mapping."""
    event = load_event("api-link") | {"path": "/linking/links", "httpMethod": "GET"}
    answer = lambda_handler(event, invocation())
    assert (answer["statusCode"], answer["multiValueHeaders"]["Allow"]) == (405, ["POST"])
    assert json.loads(answer["body"])["message"] == "/links takes POST only."


ARN = "arn:aws:sts::123456789012:assumed-role/registrar/nightly"
CALLERS: dict[str, tuple[dict[str, Any], dict[str, str] | None]] = {
    "IAM": ({"identity": {"userArn": ARN}}, {"arn": ARN}),
    "access token of a person": (
        {"authorizer": {"claims": {"client_id": "c1", "username": "rita"}}, "identity": {"userArn": None}},
        {"client": "c1", "username": "rita"},
    ),
    "access token of a program": ({"authorizer": {"claims": {"client_id": "c1"}}}, {"client": "c1"}),
    "identity token": (
        {"authorizer": {"claims": {"aud": "c1", "cognito:username": "rita"}}},
        {"client": "c1", "username": "rita"},
    ),
    "odd claims": ({"authorizer": {"claims": {"client_id": 7}}}, None),
    "no claims": ({"authorizer": {"claims": None}}, None),
    "lone surrogate": ({"identity": {"userArn": "\ud800"}}, {"arn": "\\ud800"}),
    "nothing": ({}, None),
}


@pytest.mark.parametrize(("context", "caller"), CALLERS.values(), ids=CALLERS)
def test_caller(context: dict[str, Any], caller: dict[str, str] | None, printed: Printed) -> None:
    """Each record names the caller if the event does: who signed the request, or the token's client and username."""
    event = load_event("api-link")
    event |= {"requestContext": {"requestId": "r1", "path": "/v1/links", "stage": "v1"} | context}
    for body, status in ((NO_KEYS, 200), (event["body"], 503)):
        assert lambda_handler(event | {"body": body}, invocation())["statusCode"] == status
    records = [record for record in printed() if "_aws" not in record]
    assert [record.get("caller") for record in records] == [caller, caller]
    lambda_handler(load_event("direct-link") | {"external_keys_to_usernames": {}}, invocation())
    assert all("caller" not in record for record in printed())
