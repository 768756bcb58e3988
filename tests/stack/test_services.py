"""The examples for other AWS services, deployed as the documentation prints them, and used."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws import ACCOUNT, REGION
from local.lms import Lms
from local.stack import Service
from tests.stack.stack import ROOT
from tests.stack.support import ALICE, next_message, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.xdist_group("stack")]

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:link-students"


@pytest.fixture(scope="module")
def examples(service: Service) -> Iterator[dict[str, str]]:
    """The templates that the page prints, by the names in their first lines, each deployed as a stack."""
    page = (ROOT / "docs/services.md").read_text()
    printed = dict(re.findall(r"```yaml\n# (.+?)\n(.*?)```", page, re.DOTALL))
    cloudformation = service.aws.client("cloudformation")
    for name, template in printed.items():
        stack = name.removesuffix(".yaml")
        cloudformation.create_stack(StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
        cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    yield printed
    for name in reversed(printed):
        stack = name.removesuffix(".yaml")
        cloudformation.delete_stack(StackName=stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


@pytest.mark.usefixtures("examples", "deployed_lms")
def test_step_functions(service: Service) -> None:
    """The state machine's output is the answer."""
    execution = _execute(service, ALICE)
    assert (execution["status"], json.loads(execution["output"])["linked"]) == ("SUCCEEDED", 1)


@pytest.mark.usefixtures("examples", "deployed_lms")
def test_step_functions_catch(service: Service) -> None:
    """A malformed request is caught by its name, and ends the execution with the message."""
    execution = _execute(service, {"misspelt": 1})
    assert (execution["status"], execution["error"]) == ("FAILED", "InvalidRequest")
    assert "misspelt" in execution["cause"]


@pytest.mark.usefixtures("examples")
def test_step_functions_retry(service: Service, deployed_lms: Lms) -> None:
    """An execution waits for a database that is away, and links when it is back."""
    deployed_lms.connection.close()
    service.cluster.stop()
    try:
        arn = _start(service, ALICE)
        wait_for(lambda: _events(service, arn).count("TaskFailed") or None)
    finally:
        service.cluster.start()
    assert wait_for(lambda: _ended(service, arn))["status"] == "SUCCEEDED"


@pytest.mark.usefixtures("examples")
def test_pipe(service: Service, deployed_lms: Lms) -> None:
    """A message in the queue is a request."""
    sqs = service.aws.client("sqs")
    queue = sqs.get_queue_url(QueueName="link-students")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(ALICE))
    assert wait_for(lambda: deployed_lms.rows("student_courseenrollment", "mode")) == [["masters"]]


@pytest.mark.usefixtures("examples")
def test_eventbridge(service: Service, deployed_lms: Lms) -> None:
    """The detail of an event is a request."""
    _put_event(service, ALICE)
    assert wait_for(lambda: deployed_lms.rows("student_courseenrollment", "mode")) == [["masters"]]


@pytest.mark.usefixtures("examples")
def test_eventbridge_failure(service: Service) -> None:
    """What an event asked for is kept if it fails for good."""
    _put_event(service, {"misspelt": 1})
    assert next_message(service)["requestPayload"] == {"misspelt": 1}


def _start(service: Service, request: object) -> str:
    execution = service.aws.client("stepfunctions").start_execution(stateMachineArn=MACHINE, input=json.dumps(request))
    return str(execution["executionArn"])


def _execute(service: Service, request: object) -> Any:  # noqa: ANN401 - boto3's
    arn = _start(service, request)
    return wait_for(lambda: _ended(service, arn))


def _ended(service: Service, arn: str) -> Any:  # noqa: ANN401 - boto3's
    execution = service.aws.client("stepfunctions").describe_execution(executionArn=arn)
    return execution if execution["status"] != "RUNNING" else None


def _events(service: Service, arn: str) -> list[str]:
    history = service.aws.client("stepfunctions").get_execution_history(executionArn=arn)
    return [event["type"] for event in history["events"]]


def _put_event(service: Service, request: object) -> None:
    event = {"Source": "registrar", "DetailType": "LinkStudents", "Detail": json.dumps(request)}
    assert service.aws.client("events").put_events(Entries=[event])["FailedEntryCount"] == 0
