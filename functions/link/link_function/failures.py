"""What each kind of failure is to a caller, and to the log: the one table of exceptions and HTTP statuses."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from lambda_runtime.observability import FAILED, logger, report_failure
from lambda_runtime.refusals import InvalidRequest, Problem
from program_enrollments import DatabaseNotReady, LinkingUnavailable

RETRY_AFTER = {"Retry-After": "5"}


class LinkingFailed(Exception):
    """Something went wrong that nobody foresaw; the log says what."""


class Failure(NamedTuple):
    """A failure as HTTP answers it, and as a direct invocation raises it."""

    status: HTTPStatus
    problem: Problem
    error: Exception
    headers: Mapping[str, str] = MappingProxyType({})


def failure(error: Exception) -> Failure:
    """What to answer; whatever is not the caller's fault is logged with its reason."""
    match error:
        case InvalidRequest():
            return Failure(error.status, Problem(message=error.message, details=error.details), error)
        case LinkingUnavailable():
            logger.error("Linking unavailable", extra={"reason": str(error)})
            return Failure(HTTPStatus.SERVICE_UNAVAILABLE, Problem(message=str(error)), error, RETRY_AFTER)
        case DatabaseNotReady():
            logger.error("Database not ready", extra={"reason": str(error)})
            return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, Problem(message=str(error)), error)
        case _:  # whatever it is, its words are not for callers
            report_failure(error)
            return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, Problem(message=FAILED), LinkingFailed(FAILED))
