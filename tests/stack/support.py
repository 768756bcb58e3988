"""What the tests of the deployed stack share."""

import json
import time
from collections.abc import Callable
from typing import Any

from local.lms import PROGRAM
from local.stack import Service

PATIENCE_SECONDS = 60.0
NOBODY = {"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "nobody"}}
ALICE = {"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice"}}


def wait_for[T](look: Callable[[], T]) -> T:
    """Look until there is something true to see; return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, f"nothing came in {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.2)
    return seen


def next_message(service: Service) -> Any:  # noqa: ANN401 - whatever was kept
    """The next record of the queue of failed invocations, taken out of it."""
    sqs, queue = service.aws.client("sqs"), service.outputs["FailedInvocationsUrl"]
    (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])
