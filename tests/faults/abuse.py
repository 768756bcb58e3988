"""What no event may get out of the Lambda, whatever it is, while its database is up."""

import base64
import json
from contextlib import suppress
from typing import Any

from functions.link.app import lambda_handler
from lambda_runtime.refusals import InvalidRequest
from local.invocation import invocation
from local.lms import Lms

STATUSES = {200, 207, 400, 404, 405, 413, 415, 422}
# Of a learner whom no request names; and of what goes on inside.
SECRETS = ["canary", "7318204", "Traceback", ".py", "pg8000", "pydantic", "SELECT", "INSERT", "UPDATE", "auth_user"]


def load_canary(lms: Lms) -> None:
    """Add the learner whom no request names, in every table that linking reads, beside one who waits."""
    lms.run("ALTER TABLE auth_user ALTER id RESTART WITH 7318204")
    lms.run("ALTER TABLE program_enrollments_programenrollment ALTER id RESTART WITH 73182041")
    course_key = lms.course("course-v1:canary+A+2026")
    canary = lms.user("canary")
    lms.course_enrollment(canary, course_key, "verified")
    lms.enrollment("canary-key", [course_key], user_id=canary)
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])


def check(event: Any) -> str:  # noqa: ANN401 - anything may come
    """Hand the event to the Lambda; fail where it gets out what it may not. Return the answer in a word."""
    try:
        answer = lambda_handler(event, invocation())
    except InvalidRequest as error:
        _check_secrets(event, str(error).encode().decode())
        return "refused"
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode().decode()
    if not _is_http(event):
        assert answer.keys() - {"dry_run"} == {"program_uuid", "linked", "errors", "error_codes"}
        _check_secrets(event, text)
        return "answered"
    assert answer["statusCode"] in STATUSES, answer
    if answer["multiValueHeaders"]["Content-Type"] == ["application/json"] and event.get("path") != "/openapi.json":
        assert json.loads(answer["body"]).keys() & {"message", "linked"}
        _check_secrets(event, text)
    return str(answer["statusCode"])


def _is_http(event: Any) -> bool:  # noqa: ANN401 - likewise
    match event:
        case {"httpMethod": str(), "path": str()}:
            return True
    return False


def _check_secrets(event: Any, answer: str) -> None:  # noqa: ANN401 - likewise
    """A secret may be in the answer only where the event said it."""
    said = json.dumps(event, ensure_ascii=False)
    if isinstance(event, dict) and isinstance(event.get("body"), str):
        with suppress(ValueError):
            said += base64.b64decode(event["body"]).decode()
    for secret in SECRETS:
        assert secret not in answer or secret in said, answer
