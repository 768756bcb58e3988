"""One linking request, however it came in: the batch in the database, the report, the answer."""

import time
from collections.abc import Callable
from functools import partial

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.connection import warm_connection
from link_function.report import report
from link_function.requests import LinkRequest, LinkResponse, fitting
from program_enrollments import ConnectionLost, LinkingUnavailable, Outcome, link_program_enrollments
from program_enrollments.postgres.session import Connection

# What is kept of the remaining time for the rollback, the answer and the log; less where there is little time at all.
RESERVED_SECONDS = 1.0


def link(request: LinkRequest, context: LambdaContext) -> LinkResponse:
    """Link a batch, log and measure what became of it, and answer.

    Raise `LinkingUnavailable` where the database is out of reach or out of time, and `DatabaseNotReady` where it is not
    fit for linking.
    """
    started = time.monotonic()
    outcome = Outcome()
    if request.external_keys_to_usernames:
        outcome = on_connection(context, partial(_link_once, request))
    report(request, outcome, time.monotonic() - started)
    return LinkResponse(
        program_uuid=request.program_uuid,
        linked=outcome.linked,
        errors=fitting(outcome.errors),
        error_codes={key: failure.code for key, failure in outcome.failures.items()},
        dry_run=request.dry_run or None,
    )


def on_connection[T](context: LambdaContext, work: Callable[[Connection, float], T]) -> T:
    """Do what takes a connection and a deadline; if the connection turns out to be dead, once more on a new one."""
    deadline = time.monotonic() + _seconds_for_batch(context)
    try:
        return _on_warm_connection(deadline, work)
    except ConnectionLost:
        pass
    try:
        return _on_warm_connection(deadline, work)
    except ConnectionLost as error:
        raise LinkingUnavailable("The connection to the database was lost twice; nothing was changed.") from error


def _on_warm_connection[T](deadline: float, work: Callable[[Connection, float], T]) -> T:
    with warm_connection(deadline) as connection:
        return work(connection, deadline)


def _seconds_for_batch(context: LambdaContext) -> float:
    seconds = context.get_remaining_time_in_millis() / 1000
    return seconds - min(RESERVED_SECONDS, seconds / 2)


def _link_once(request: LinkRequest, connection: Connection, deadline: float) -> Outcome:
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
