"""The stack as a whole: built, deployed with `sam deploy` to a local AWS, called, updated and deleted."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
from io import BytesIO
from typing import IO, Any
from zipfile import ZipFile

import httpx
import pytest

from local.aws import LocalAws, local_aws
from local.lms import Lms
from local.stack import PASSWORD, SECRET, SERVICE_ROLE, Service
from tests.stack.stack import ROOT
from tests.stack.support import ALICE, NOBODY, PATIENCE_SECONDS, next_message, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.xdist_group("stack")]


def test_links(service: Service, deployed_lms: Lms) -> None:
    """A signed request links, through the API, the function, its layer and a login with the secret."""
    answer = service.send("POST", "/links", ALICE)
    assert (answer.status_code, answer.json()["linked"]) == (200, 1)
    assert deployed_lms.rows("student_courseenrollment", "mode, is_active") == [["masters", True]]


@pytest.mark.parametrize(
    ("status", "method", "path", "body"),
    [
        (207, "POST", "/links", {**ALICE, "external_keys_to_usernames": {"student-001": "alice", "x": "nobody"}}),
        (422, "POST", "/links", NOBODY),
        (400, "POST", "/links", {"misspelt": 1}),
        (400, "POST", "/links", b"\xff"),
        (413, "POST", "/links", {**ALICE, "external_keys_to_usernames": {str(n): "alice" for n in range(10_001)}}),
        (404, "POST", "/nowhere", ALICE),
        (405, "GET", "/links", None),
        (200, "GET", "/openapi.json", None),
    ],
)
@pytest.mark.usefixtures("deployed_lms")
def test_statuses(service: Service, status: int, method: str, path: str, body: object) -> None:
    """Each outcome has its status, also behind the API."""
    assert service.send(method, path, body).status_code == status


def test_the_document_has_all_paths(service: Service, deployed_lms: Lms) -> None:
    """The OpenAPI document of the stack has the paths of both functions that answer."""
    paths = service.send("GET", "/openapi.json").json()["paths"]
    assert {"/links", "/programs", "/rosters", "/rosters/{roster_id}/resume"} <= paths.keys()


def test_unsigned_requests_are_refused(service: Service, deployed_lms: Lms) -> None:
    """A request that nobody signed does not reach the function."""
    assert httpx.post(f"{service.url}/links", json=ALICE, timeout=PATIENCE_SECONDS).status_code == 403
    assert deployed_lms.rows("student_courseenrollment", "mode") == []


def test_a_database_that_comes_back(service: Service, deployed_lms: Lms) -> None:
    """While the database is away the answer is 503, and once it is back the same request links."""
    deployed_lms.connection.close()
    service.cluster.stop()
    try:
        answer = service.send("POST", "/links", ALICE)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    finally:
        service.cluster.start()
    assert service.send("POST", "/links", ALICE).status_code == 200


def test_direct_invocation(service: Service, deployed_lms: Lms) -> None:
    """A direct invocation gets the bare answer, or an error with a name to match."""
    assert _invoke(service, ALICE)["linked"] == 1
    assert _invoke(service, {"misspelt": 1})["errorType"] == "InvalidRequest"
    deployed_lms.connection.close()
    service.cluster.stop()
    try:
        assert _invoke(service, ALICE)["errorType"] == "LinkingUnavailable"
    finally:
        service.cluster.start()


def test_rotated_password(service: Service, deployed_lms: Lms) -> None:
    """After the secret was rotated the next request logs in with the new password."""
    assert service.send("POST", "/links", NOBODY).status_code == 422
    try:
        _rotate(service, deployed_lms, "another one")
        assert service.send("POST", "/links", ALICE).status_code == 200
    finally:
        _rotate(service, deployed_lms, PASSWORD)


def test_failed_invocations_are_kept(service: Service) -> None:
    """What an asynchronous invocation asked for is in the queue once it has failed for good, with the reason."""
    _lambda(service).invoke(
        FunctionName=service.outputs["FunctionArn"], InvocationType="Event", Payload=json.dumps({"misspelt": 1})
    )
    kept = next_message(service)
    assert kept["requestPayload"] == {"misspelt": 1}
    assert kept["responsePayload"]["errorType"] == "InvalidRequest"


def test_update(service: Service) -> None:
    """A deployment with a changed parameter changes the stack, which goes on answering."""
    service.deploy(LogRetentionDays="7")
    groups = service.aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    assert {group["retentionInDays"] for group in groups} == {7}
    assert service.send("POST", "/links", NOBODY).status_code == 422


def test_delete(service: Service) -> None:
    """A second stack fits beside the first one, and is gone without a trace of its functions once it is deleted."""
    other = dataclasses.replace(service, name="other")
    other.deploy()
    assert other.send("POST", "/links", NOBODY).status_code == 422
    assert {"program-linking-link", "other-link"} <= set(_functions(service))
    other.delete()
    assert not [name for name in _functions(service) if name.startswith("other-")]
    assert service.send("POST", "/links", NOBODY).status_code == 422


def test_make_stack() -> None:
    """`make stack` prints a signed curl and a command that work, and leaves nothing behind at Ctrl-C."""
    command = [str(shutil.which("make")), "-s", "stack"]
    make = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        printed = _until("Ctrl-C", make.stdout)
        engine = _engine(printed.partition("AWS_ENDPOINT_URL=")[2].split()[0])
        curl = printed[printed.index("curl -i") : printed.index("\n\nThe command")]
        assert "HTTP/1.1 207" in _output("bash", "-c", curl)
        link = printed[printed.index("export ") : printed.index("\n\nCtrl-C")]
        assert "1 of 1 keys: 1 linked" in _output("bash", "-c", link)
    finally:
        os.killpg(make.pid, signal.SIGINT)
        make.communicate(timeout=PATIENCE_SECONDS)
    wait_for(lambda: not _running(engine) + _running(str(make.pid)))


def test_nothing_stays() -> None:
    """The local AWS listens on 127.0.0.1 only, and at its end neither it nor a process of a function is left."""
    with local_aws() as aws:
        _invoke_a_function(aws)
        engine = _engine(aws.url)
        listening = [line.split()[3] for line in _output("ss", "-Hltnp").splitlines() if f"pid={engine}," in line]
        assert listening == [aws.url.removeprefix("http://")]
        assert len(_running(engine)) == 2
    wait_for(lambda: not _running(engine))


def _lambda(service: Service) -> Any:  # noqa: ANN401 - boto3 makes its classes as it runs
    return service.aws.client("lambda")


def _functions(service: Service) -> list[str]:
    return [function["FunctionName"] for function in _lambda(service).list_functions()["Functions"]]


def _invoke(service: Service, event: object) -> Any:  # noqa: ANN401 - whatever it answers
    answer = _lambda(service).invoke(FunctionName=service.outputs["FunctionArn"], Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def _rotate(service: Service, lms: Lms, password: str) -> None:
    """Change the role's password and its secret, and end its sessions."""
    lms.run(f"ALTER ROLE {SERVICE_ROLE} PASSWORD '{password}'")
    login = json.dumps({"username": SERVICE_ROLE, "password": password})
    service.aws.client("secretsmanager").put_secret_value(SecretId=SECRET, SecretString=login)
    lms.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role", role=SERVICE_ROLE)


def _invoke_a_function(aws: LocalAws) -> None:
    code = BytesIO()
    with ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return event")
    role = aws.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName="any",
        Runtime="python3.13",
        Handler="app.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": code.getvalue()},
    )
    assert functions.invoke(FunctionName="any", Payload=b"1")["StatusCode"] == 200


def _until(words: str, lines: IO[str] | None) -> str:
    """All that a process prints up to a line with these words."""
    printed = ""
    for line in lines or ():
        printed += line
        if words in line:
            return printed
    raise AssertionError(printed)


def _engine(url: str) -> str:
    """The process that listens where the local AWS answers."""
    (process,) = re.findall(r"pid=(\d+)", _output("ss", "-Hltnp", f"sport = :{url.rpartition(':')[2]}"))
    return str(process)


def _running(group: str) -> list[str]:
    """The processes of a group, without those that ended and that nobody has asked about."""
    return _output("pgrep", "-g", group, "-r", "D,I,R,S,T").split()


def _output(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout
