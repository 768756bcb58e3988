"""The state machine that works on rosters, as the function starts it and looks after it."""

import json
import os
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import boto3

from roster_function.record import Record

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

NEVER_STARTED = "NEVER_STARTED"


@cache
def step_functions() -> "SFNClient":
    """The client."""
    return boto3.client("stepfunctions")


def start(record: Record) -> None:
    """Let the machine work on a roster; nothing happens if it does so already, or did in this attempt."""
    client = step_functions()
    with suppress(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(
            stateMachineArn=os.environ["ROSTER_MACHINE_ARN"],
            name=record.execution,
            input=json.dumps({"roster_id": record.roster_id}),
        )


def end(record: Record) -> str | None:
    """How the machine ended with a roster without writing so into the record; None if it still works on it.

    This is for what the machine cannot report: somebody stopped its execution, or its last step failed for good.
    """
    client = step_functions()
    arn = os.environ["ROSTER_MACHINE_ARN"].replace(":stateMachine:", ":execution:", 1)
    try:
        status = client.describe_execution(executionArn=f"{arn}:{record.execution}")["status"]
    except client.exceptions.ExecutionDoesNotExist:
        return NEVER_STARTED
    return None if status == "RUNNING" else status
