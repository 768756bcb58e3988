"""The state machine's walk, in this process: the steps and LinkFunction as its definition calls them, with moto's S3.

The definition itself is run by the tests of the stack.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from functions.link.app import lambda_handler as link_handler
from functions.roster.app import lambda_handler as roster_handler
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from roster_function import bucket
from tests.rosters.described import check_answer

BUCKET = "rosters"
ACCOUNT = "111122223333"

# The items of the machine's map; indexed only as they come from the file.
type Items = Any
type Order = Callable[[Items], Items]


@dataclass
class Machine:
    """Stands where Step Functions would: executions that were started, and how those ended that did not say so."""

    started: list[str] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    announced: list[dict[str, Any]] = field(default_factory=list)
    concurrency: int = 0

    def start(self, record: Any) -> None:  # noqa: ANN401 - a Record
        """Start an execution, once for each name."""
        if record.execution not in self.statuses:
            self.started.append(record.roster_id)
            self.statuses[record.execution] = "RUNNING"

    def end(self, record: Any) -> str | None:  # noqa: ANN401 - a Record
        """How an execution ended, None while it runs."""
        status = self.statuses.get(record.execution, "NEVER_STARTED")
        return None if status == "RUNNING" else status

    def walk(self, order: Order = iter) -> dict[str, Any]:
        """Run the execution that was started last to its end; return what it announces."""
        roster_id = self.started[-1]
        while True:
            planned = step("plan", roster_id=roster_id)
            self.concurrency = planned["concurrency"]
            if planned["requests"]:
                _send_all(order(list(bucket.lines(planned["path"]))))
            collected = step("collect", roster_id=roster_id)
            if not collected["again"]:
                self.announced.append(collected)
                return collected


def step(name: str, **payload: object) -> dict[str, Any]:
    """One invocation of the roster function by the machine, through JSON as Lambda has it."""
    return _through_json(roster_handler(_through_json({"step": name, **payload}), invocation()))


def _send_all(items: Iterable[dict[str, Any]]) -> None:
    """Send requests until one is not answered, as a map without tolerance does."""
    for item in items:
        if not step("ask", roster_id=item["roster_id"])["may_start"]:
            continue
        try:
            answer = _through_json(link_handler(item["request"], invocation()))
        except Exception as error:  # noqa: BLE001 - Lambda reports any
            cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
            step("note", roster_id=item["roster_id"], error={"Error": type(error).__name__, "Cause": cause})
            return
        step("keep", **{name: item[name] for name in ("roster_id", "kind", "phase", "batch")}, answer=answer)


def _through_json(value: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(json.dumps(value)))


def drop(data: bytes | str, name: str = "nightly.csv", program: str = PROGRAM, **metadata: str) -> dict[str, Any]:
    """Put a file into the bucket; return the event that S3 sends about it."""
    key = f"rosters/{program}/{name}"
    body = data.encode() if isinstance(data, str) else data
    put = bucket.s3().put_object(
        Bucket=BUCKET, Key=key, Body=body, Metadata={name.replace("_", "-"): text for name, text in metadata.items()}
    )
    return put_event(key, put.get("VersionId"))


def put_event(key: str, version: str | None) -> dict[str, Any]:
    """What EventBridge hands over when an object was put."""
    return {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "account": ACCOUNT,
        "time": "2026-11-20T02:00:00Z",
        "detail": {
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": 1, "version-id": version},
            "requester": ACCOUNT,
            "source-ip-address": "192.0.2.7",
            "reason": "PutObject",
        },
    }


def arrive(event: dict[str, Any]) -> None:
    """Let the roster function have an event."""
    roster_handler(event, invocation())


def call(
    method: str, path: str, body: object = None, query: dict[str, str] | None = None, **changes: object
) -> tuple[int, dict[str, Any]]:
    """Call the API as API Gateway does; return status and answer, which are as the OpenAPI document says."""
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json"},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [text] for name, text in query.items()} if query else None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "requestContext": {"requestId": "r-1", "stage": "v1", "path": f"/v1{path}", "identity": {"userArn": "arn:me"}},
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "isBase64Encoded": False,
        **changes,
    }
    answer = roster_handler(event, invocation())
    status, said = answer["statusCode"], json.loads(answer["body"])
    if "resource" not in changes:
        check_answer(method, path, body, status, said)
    return status, said


def status(roster_id: str) -> dict[str, Any]:
    """The roster, as GET /rosters/{id} has it."""
    code, answer = call("GET", f"/rosters/{roster_id}")
    assert code == 200
    return answer


def result(roster_id: str, part: str, delimiter: str = ",") -> list[list[str]]:
    """The rows of one of a roster's results."""
    data = bucket.read(bucket.result(roster_id, part)) or b""
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def csv_of(pairs: dict[str, str]) -> str:
    """A file with a header and a line for each pair."""
    file = io.StringIO()
    csv.writer(file).writerows([("external_user_key", "lms_username"), *pairs.items()])
    return file.getvalue()


def pairs(count: int = 20) -> dict[str, str]:
    """The first learners of the cohort."""
    return {f"key{number}": f"user{number}" for number in range(count)}


def linked(lms: Lms) -> int:
    """How many enrollments have an account."""
    return int(lms.run("SELECT count(user_id) FROM program_enrollments_programenrollment")[0][0])
