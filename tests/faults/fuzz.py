"""Fuzzing that is led by coverage: `python -m tests.faults.fuzz CORPUS -max_total_time=600`, with PG* variables.

The bytes that the fuzzer makes up become an event: the payload of a direct invocation, or parts of an HTTP request. It
ends with a status other than 0 at the first event that gets out what `abuse.check` says none may.
"""

import base64
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(
    include=["functions.link.app", "link_function", "lambda_runtime", "program_enrollments"]
):
    from lambda_runtime.observability import logger
    from tests.faults.abuse import check

from local.lms import PROGRAM
from tests.support import load_event

EXAMPLES = [
    {"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice", "student-002": "bob"}},
    {"program_uuid": PROGRAM, "external_keys_to_usernames": {}, "relink": True, "dry_run": True, "ignore_case": True},
    {"program_uuid": PROGRAM, "external_keys_to_usernames": {"A": "\ud800"}, "curriculum_uuid": PROGRAM},
    [None, True, 1e308, -(10**30), "\0"],
]
PAYLOAD, TEXT, BASE64, PARTS = b"p", b"t", b"b", b"r"


def write_corpus(folder: Path) -> None:
    """Write the events to begin with."""
    bodies = [json.dumps(example).encode() for example in EXAMPLES]
    inputs = [kind + body for kind in (PAYLOAD, TEXT, BASE64) for body in bodies]
    inputs += [PARTS + b"POST\n/links\napplication/json\n" + body for body in bodies]
    for number, data in enumerate(inputs):
        (folder / str(number)).write_bytes(data)


def event_from(data: bytes) -> Any:  # noqa: ANN401 - anything may come
    """Make an event: the first byte says of which kind, the others what is in it."""
    kind, content = data[:1], data[1:]
    text = content.decode(errors="surrogateescape")
    match kind:
        case b"t":
            return load_event("api-link") | {"body": text}
        case b"b":
            return load_event("api-link") | {"body": base64.b64encode(content).decode(), "isBase64Encoded": True}
        case b"r":
            method, path, media_type, body = [*text.split("\n", 3), "", "", ""][:4]
            headers = {"Content-Type": media_type}
            return load_event("api-link") | {"httpMethod": method, "path": path, "headers": headers, "body": body}
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


def main() -> None:
    """Fuzz until libFuzzer has had enough."""
    logger.setLevel("CRITICAL")
    write_corpus(Path(sys.argv[1]))
    atheris.Setup(sys.argv, lambda data: check(event_from(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
