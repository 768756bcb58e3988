"""The service as Lambda runs it: function and layer in the base image, started by `sam local`."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from local.containers import ROOT, bridge, sample_service, start_sam
from local.lms import Lms
from local.roster import SAMPLE_REQUEST
from program_enrollments import connect

LONGEST_SECONDS = 180.0

if not (NETWORK := bridge()):
    pytest.skip("no container engine answers", allow_module_level=True)

# One build and one database for all of them.
pytestmark = [pytest.mark.containers, pytest.mark.xdist_group("containers")]


@dataclass(frozen=True)
class Service:
    """The database that the containers reach, and the options that `sam local` takes."""

    lms: Lms
    options: list[str]

    def invoke(self, event: str) -> dict[str, Any]:
        """Invoke the function directly, in a container of its own; SAM succeeds whatever becomes of that."""
        arguments = ["LinkFunction", f"--event=events/{event}.json", *self.options]
        with start_sam("invoke", *arguments, stdout=subprocess.PIPE) as sam:
            answer, _ = sam.communicate(timeout=LONGEST_SECONDS)
        assert sam.returncode == 0
        return dict(json.loads(answer))

    def holders(self, *keys: str) -> list[list[str | None]]:
        """The usernames that the keys of the first program are linked to."""
        return self.lms.run(
            "SELECT external_user_key, username FROM program_enrollments_programenrollment LEFT JOIN auth_user"
            " ON auth_user.id = user_id WHERE external_user_key = ANY(:keys) ORDER BY 1",
            keys=list(keys),
        )

    def courses(self, username: str) -> list[list[Any]]:
        """What the user is enrolled in."""
        return self.lms.run(
            "SELECT course_id, mode, enrollment.is_active FROM student_courseenrollment AS enrollment JOIN auth_user"
            " ON auth_user.id = user_id WHERE username = :username ORDER BY 1",
            username=username,
        )

    def sessions(self) -> int:
        """How many connections the containers hold."""
        [[count]] = self.lms.run("SELECT count(*) FROM pg_stat_activity WHERE client_addr != '127.0.0.1'")
        return int(count)


@pytest.fixture(scope="module")
def service(built: Path) -> Iterator[Service]:
    """The service, built, and a database with the sample roster."""
    with mock.patch.dict(os.environ), sample_service(NETWORK, built) as options, connect() as connection:
        yield Service(Lms(connection), options)
    assert containers() == []


@pytest.fixture
def port(service: Service) -> Iterator[int]:
    """Where the API is served by a container that stays warm."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with start_sam("start-api", f"--port={port}", "--warm-containers=LAZY", *service.options) as sam:
        try:
            wait_for(port, sam)
            yield port
        finally:
            sam.terminate()


def containers() -> list[str]:
    """What the containers mount that run this checkout's functions, whoever may run others."""
    docker = shutil.which("docker") or "docker"
    command = [docker, "ps", "--all", "--no-trunc", "--format", "{{.Mounts}}"]
    mounts = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [mount for mount in mounts if f"{ROOT}/functions" in mount]


def wait_for(port: int, sam: "subprocess.Popen[str]") -> None:
    """Wait until the API takes connections."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while sam.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.2)
    pytest.fail("the API did not start")


def post(port: int, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send a request to POST /links; return status and answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=LONGEST_SECONDS)) as connection:
        connection.request("POST", "/links", json.dumps(request), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)


def test_direct_invocation(service: Service) -> None:
    """A direct invocation links, and gets the bare answer."""
    assert service.invoke("direct-link") == {
        "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
        "linked": 2,
        "errors": {},
        "error_codes": {},
    }
    assert service.holders("student-001", "student-002") == [["student-001", "alice"], ["student-002", "bob"]]
    assert service.courses("alice") == [
        ["course-v1:ExampleX+MS102+2026_Fall", "masters", True],
        ["course-v1:ExampleX+MS103+2026_Fall", "masters", True],
    ]


def test_malformed_direct_invocation(service: Service) -> None:
    """A malformed payload gets the errorType that a state machine catches."""
    answer = service.invoke("direct-link-invalid")
    assert answer["errorType"] == "InvalidRequest"
    assert answer["errorMessage"] == (
        "The request is malformed. external_keys_to_usernames.student-001: must be a string."
    )


def test_api(service: Service, port: int) -> None:
    """The API links what it can, reports the rest, and keeps its container and its connection warm."""
    assert post(port, SAMPLE_REQUEST | {"curriculum_uuid": "not one"})[0] == 400
    some = {"student-008": "heidi", "student-003": "nobody", "student-004": "dave", "student-005": "erin"}
    request = SAMPLE_REQUEST | {"external_keys_to_usernames": some}
    assert post(port, request) == (
        207,
        {
            "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
            "linked": 1,
            "errors": {
                "student-003": "No user found with username nobody",
                "student-004": "Program enrollment with external_student_key=student-004 is already linked to target"
                " account username=dave",
                "student-005": "Program enrollment with external_student_key=student-005 is already linked to a"
                " different account username=grace",
            },
            "error_codes": {
                "student-003": "user-not-found",
                "student-004": "already-linked",
                "student-005": "conflict",
            },
        },
    )
    assert service.holders("student-003", "student-005", "student-008") == [
        ["student-003", None],
        ["student-005", "grace"],
        ["student-008", "heidi"],
    ]
    status, answer = post(port, request)
    assert (status, answer["error_codes"]["student-008"]) == (207, "already-linked")
    assert service.sessions() == 1
