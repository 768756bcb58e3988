"""ministack, served by the Python of `.tools/stack`: `.tools/stack/bin/python local/engine.py`.

It calls every exception of a Python function `Runtime.HandlerError`. Lambda gives the exception's own name, which
callers match in `Retry` and `Catch`.
"""

import re
from typing import Any

from ministack.app import main
from ministack.services import lambda_svc

LAST_LINE_OF_TRACEBACK = re.compile(r"([\w.<>]+)(?:: |$)")

_execute = lambda_svc._execute_function_warm  # noqa: SLF001 - it has no other place for this


def execute(*arguments: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the engine passes
    """Run a function as the engine does, and name its exception as Lambda does."""
    answer: dict[str, Any] = _execute(*arguments, **options)
    match answer:
        case {"error": _, "body": {"errorType": "Runtime.HandlerError"} as body}:
            last_line = str(answer.get("log", "")).rstrip().rpartition("\n")[2]
            if found := LAST_LINE_OF_TRACEBACK.match(last_line):
                body["errorType"] = found[1].rpartition(".")[2]
    return answer


if __name__ == "__main__":
    lambda_svc._execute_function_warm = execute  # noqa: SLF001
    main()
