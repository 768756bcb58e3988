"""What tests of rosters on the deployed stack share: learners, files in the bucket, and what becomes of them."""

import csv
import io
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from local.lms import CURRICULUM, PROGRAM, Lms
from local.stack import Service
from program_linking.roster_api import ENDED

LEARNERS = 4_000
PATIENCE_SECONDS = 400.0


def signing(service: Service) -> type[BaseHTTPRequestHandler]:
    """A front of the API that signs what it hands on."""

    class Front(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = service.send(self.command, self.path, body or None)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = answer  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
            """Say nothing."""

    return Front


def fill(lms: Lms, count: int) -> None:
    """Accounts user0, user1, … and the waiting keys key0, key1, …."""
    lms.run(
        "INSERT INTO auth_user (username, is_active, password, first_name, last_name, email, is_staff, is_superuser,"
        " date_joined) SELECT 'user' || n, true, '!', '', '', '', false, false, now()"
        " FROM generate_series(0, CAST(:count AS int) - 1) AS n",
        count=count,
    )
    lms.run(
        "INSERT INTO program_enrollments_programenrollment (external_user_key, program_uuid, curriculum_uuid, status,"
        " created, modified) SELECT 'key' || n, CAST(:program AS uuid), CAST(:curriculum AS uuid), 'enrolled', now(),"
        " now() FROM generate_series(0, CAST(:count AS int) - 1) AS n",
        count=count,
        program=PROGRAM,
        curriculum=CURRICULUM,
    )


def lines(count: int = LEARNERS, changed: Mapping[str, str] = MappingProxyType({})) -> str:
    """A file with a line for each of the first learners."""
    return "".join(f"key{n},{changed.get(f'key{n}', f'user{n}')}\n" for n in range(count))


def drop(service: Service, text: str, **metadata: str) -> dict[str, Any]:
    """Put a file into the bucket; return the roster that it becomes."""
    known = {each["roster_id"] for each in rosters(service)}
    service.aws.client("s3").put_object(
        Bucket=service.outputs["RosterBucketName"],
        Key=f"rosters/{PROGRAM}/nightly.csv",
        Body=text.encode(),
        Metadata={name.replace("_", "-"): value for name, value in metadata.items()},
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if new := [each for each in rosters(service) if each["roster_id"] not in known]:
            return new[0]
        time.sleep(0.2)
    raise AssertionError("The file did not become a roster.")


def rosters(service: Service) -> list[dict[str, Any]]:
    """The rosters of the program, the newest one first."""
    answer = service.send("GET", f"/rosters?program_uuid={PROGRAM}")
    assert answer.status_code == 200
    return list(answer.json()["results"])


def until(service: Service, roster_id: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The roster, once it is as it should be."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        roster = dict(service.send("GET", f"/rosters/{roster_id}").json())
        if reached(roster):
            return roster
        time.sleep(0.5)
    raise AssertionError(f"The roster is still {roster}.")


def ended(service: Service, roster_id: str) -> dict[str, Any]:
    """The roster, once it has ended."""
    return until(service, roster_id, lambda roster: roster["state"] in ENDED)


def fetched(service: Service, roster: dict[str, Any], name: str) -> list[list[str]]:
    """The rows of one of a roster's results, by its link."""
    answer = httpx.get(roster["results"][name])
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.text)))


def linked(lms: Lms) -> int:
    """How many enrollments have an account."""
    return int(lms.run("SELECT count(user_id) FROM program_enrollments_programenrollment")[0][0])


def waiting(lms: Lms) -> int:
    """How many sessions wait for a lock."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'"
    return int(lms.run(sql)[0][0])


def until_waiting(lms: Lms) -> None:
    """Wait until a session waits for a lock."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not waiting(lms):
        assert time.monotonic() < deadline, "Nothing waits for the lock."
        time.sleep(0.1)


def kill(service: Service, logical_id: str) -> None:
    """Kill the processes of a function of this stack's own engine."""
    name, port = service.physical(logical_id), service.aws.url.rpartition(":")[2]
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (process / "environ").read_bytes().split(b"\0")
            if {f"AWS_LAMBDA_FUNCTION_NAME={name}".encode(), f"GATEWAY_PORT={port}".encode()} <= {*environment}:
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    assert killed, "No process of the function was found."


def finished_rosters(service: Service) -> Callable[[], dict[str, Any]]:
    """Have the events of finished rosters come into a queue; the function gives the next one."""
    sqs, events = service.aws.client("sqs"), service.aws.client("events")
    url = sqs.create_queue(QueueName="finished")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="finished", EventPattern=json.dumps({"detail-type": ["RosterFinished"]}))
    events.put_targets(Rule="finished", Targets=[{"Id": "queue", "Arn": arn}])

    return lambda: next_message(service, url)


def next_message(service: Service, url: str) -> dict[str, Any]:
    """What the next message in a queue says."""
    sqs = service.aws.client("sqs")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return dict(json.loads(message["Body"]))
    raise AssertionError("No message came.")
