"""What links a batch of keys: a database, or the API."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from program_enrollments import Outcome, check_database, link_program_enrollments
from program_enrollments.postgres.connect import connected
from program_enrollments.postgres.session import Connection
from program_linking.output import note
from program_linking.results import Result
from program_linking.stopped import NotThisApi

if TYPE_CHECKING:
    from program_linking.api import Api

ANSWERS = {HTTPStatus.OK, HTTPStatus.MULTI_STATUS, HTTPStatus.UNPROCESSABLE_ENTITY}

# Links keys to usernames, and gives the code and the message of each key that failed.
type LinkBatch = Callable[[Mapping[str, str]], Mapping[str, Result]]


@contextmanager
def linker(program_uuid: str, choices: Mapping[str, Any], url: str | None, token: str | None) -> Iterator[LinkBatch]:
    """What links batches of a program's keys: the API at a URL, else the database that the PG* variables name."""
    if url:
        request = {"program_uuid": program_uuid, **{name: value for name, value in choices.items() if value}}
        # With httpx and botocore, which take their time.
        from program_linking.api import connected_api  # noqa: PLC0415

        with connected_api(url, token) as api:
            yield partial(_link_by_api, api, request)
    else:
        with connected() as connection:
            check_database(connection)
            yield partial(_link_in_database, connection, program_uuid, choices)


def _link_by_api(api: "Api", request: Mapping[str, object], batch: Mapping[str, str]) -> dict[str, Result]:
    body = {**request, "external_keys_to_usernames": batch}
    answer = api.ask("POST", "links", body=body, answers=ANSWERS)
    try:
        failed = {key: (str(answer["error_codes"][key]), str(message)) for key, message in answer["errors"].items()}
    except (LookupError, TypeError, AttributeError) as error:
        raise NotThisApi from error
    if not failed.keys() <= batch.keys():
        raise NotThisApi
    return failed


def _link_in_database(
    connection: Connection, program_uuid: str, choices: Mapping[str, Any], batch: Mapping[str, str]
) -> dict[str, Result]:
    outcome = link_program_enrollments(connection, program_uuid, batch, **choices)
    _note_oddities(outcome)
    return {key: (failure.code.value, failure.message) for key, failure in outcome.failures.items()}


def _note_oddities(outcome: Outcome) -> None:
    """Report what the Lambda would log as errors beside keys that were linked all the same."""
    for kept in outcome.kept_enrollments:
        note(f"Course enrollment {kept.course_enrollment_id} in {kept.course_key} was kept in its mode, {kept.mode}.")
    for role in outcome.unfulfilled_roles:
        note(f"Course role assignment {role.assignment_id} stays pending: {role.refusal}")
