"""ministack, served by the Python of `.tools/stack`, as close to AWS as the project's functions and examples need it.

- Lambda gives the name of a Python exception, which `Retry` and `Catch` match, and `Runtime.ExitError` if the process
  died. ministack calls all of them `Runtime.HandlerError`.
- An EventBridge rule invokes a function asynchronously, with retries and a queue for what fails. ministack tries once.
- A pipe from SQS starts a state machine with an array of one message. ministack has pipes from DynamoDB only.
- The definition of a state machine is in YAML or JSON. ministack reads JSON only.
- A map runs as many executions at once as `MaxConcurrencyPath` says. ministack knows `MaxConcurrency` only.
"""

import json
import re
from typing import Any

import yaml
from ministack.app import main
from ministack.services import eventbridge, lambda_svc, pipes, sqs, stepfunctions
from ministack.services.cloudformation import provisioners

LAST_LINE_OF_TRACEBACK = re.compile(r"([\w.<>]+)(?:: |$)")

_execute = lambda_svc._execute_function_warm
_poll = pipes._poll_pipe
_definition = provisioners._sfn_definition
_run_map = stepfunctions._run_distributed_map


def execute(*arguments: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the engine passes
    """Run a function as the engine does, and name its exception as Lambda does."""
    answer: dict[str, Any] = _execute(*arguments, **options)
    match answer:
        case {"error": _, "body": {"errorMessage": "Worker process died"} as body}:
            body["errorType"] = "Runtime.ExitError"
        case {"error": _, "body": {"errorType": "Runtime.HandlerError"} as body}:
            last_line = str(answer.get("log", "")).rstrip().rpartition("\n")[2]
            if found := LAST_LINE_OF_TRACEBACK.match(last_line):
                body["errorType"] = found[1].rpartition(".")[2]
    return answer


def definition(properties: dict[str, Any]) -> str:
    """A state machine's definition as JSON, which is YAML too."""
    return json.dumps(yaml.safe_load(_definition(properties)))


def run_map(state: dict[str, Any], given: Any, *others: Any) -> Any:  # noqa: ANN401 - whatever the engine passes
    """Run a distributed map with the concurrency that its input names."""
    if path := state.get("MaxConcurrencyPath"):
        state = state | {"MaxConcurrency": stepfunctions._resolve_path(path, given)}
    return _run_map(state, given, *others)


def dispatch(arn: str, payload: str) -> None:
    """Invoke a function asynchronously for a rule."""
    function, _, _ = lambda_svc._get_func_record_for_ref(arn)
    lambda_svc.invoke_async_with_retry(function, json.loads(payload))


def poll(tables: object, pipe: dict[str, Any], account: str) -> None:
    """Move a message from a pipe's queue to its state machine; leave all other pipes to the engine."""
    if pipes._arn_service(pipe["Source"]) != "sqs":
        _poll(tables, pipe, account)
        return
    url = sqs._queue_url(pipe["Source"].rpartition(":")[2])
    for message in sqs._receive_messages_for_esm(url, 1):
        record = {"messageId": message["id"], "body": message["body"], "eventSource": "aws:sqs"}
        if pipes._deliver_batch(pipe, [record]):
            sqs._delete_messages_for_esm(url, {message["receipt_handle"]})


if __name__ == "__main__":
    lambda_svc._execute_function_warm = execute
    eventbridge._dispatch_to_lambda = dispatch
    pipes._poll_pipe = poll
    provisioners._sfn_definition = definition
    stepfunctions._run_distributed_map = run_map
    main()
