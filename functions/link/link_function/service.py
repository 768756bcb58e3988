"""One linking request, however it came in: the batch in the database, the report, the answer."""

import time
from functools import partial

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.connection import on_connection
from link_function.report import report
from link_function.requests import LinkRequest, LinkResponse, fitting
from program_enrollments import Outcome, link_program_enrollments
from program_enrollments.postgres.session import Connection


def link(request: LinkRequest, context: LambdaContext) -> LinkResponse:
    """Link a batch, log and measure what became of it, and answer.

    Raise `LinkingUnavailable` if the database is out of reach or out of time, and `DatabaseNotReady` if it is not
    fit for linking.
    """
    started = time.monotonic()
    outcome = on_connection(context, partial(_link_batch, request)) if request.external_keys_to_usernames else Outcome()
    report(request, outcome, time.monotonic() - started)
    return LinkResponse(
        program_uuid=request.program_uuid,
        linked=outcome.linked,
        errors=fitting(outcome.errors),
        error_codes={key: failure.code for key, failure in outcome.failures.items()},
        dry_run=request.dry_run or None,
    )


def _link_batch(request: LinkRequest, connection: Connection, deadline: float) -> Outcome:
    return link_program_enrollments(
        connection,
        request.program_uuid,
        request.external_keys_to_usernames,
        curriculum_uuid=request.curriculum_uuid,
        relink=request.relink,
        dry_run=request.dry_run,
        ignore_case=request.ignore_case,
        seconds=deadline - time.monotonic(),
    )
