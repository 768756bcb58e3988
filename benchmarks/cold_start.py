"""One cold start, in a process of its own: `python -m benchmarks.cold_start` prints where its time goes, as JSON."""

import importlib
import json
import os
import sys
import time

# What any such function needs: the resolver with validation, pydantic, the driver. The rest of `import app` is our own.
FLOOR = {
    "Powertools Logger and Metrics": ["aws_lambda_powertools", "aws_lambda_powertools.metrics"],
    "pg8000": ["pg8000.native"],
    "pydantic": ["pydantic"],
    "Powertools resolver with validation": [
        "aws_lambda_powertools.event_handler",
        "aws_lambda_powertools.event_handler.openapi.params",
        "aws_lambda_powertools.event_handler.middlewares.openapi_validation",
        "aws_lambda_powertools.utilities.typing",
    ],
}


def main() -> None:
    """Import the floor part by part, then the app; then answer a first request, which the environment holds."""
    spent = {}
    for name, modules in FLOOR.items():
        started = time.perf_counter()
        for module in modules:
            importlib.import_module(module)
        spent[name] = time.perf_counter() - started
    started = time.perf_counter()
    app = importlib.import_module("functions.link.app")
    spent["our own modules, models and routes"] = time.perf_counter() - started
    from local.invocation import invocation  # noqa: PLC0415 - not part of what is measured

    event = json.loads(os.environ["BENCHMARK_EVENT"])
    started = time.perf_counter()
    app.lambda_handler(event, invocation())
    spent["first answer: connect, check, link one key"] = time.perf_counter() - started
    sys.stderr.write(json.dumps({"spent": spent, "boto3": "boto3" in sys.modules}))


if __name__ == "__main__":
    main()
