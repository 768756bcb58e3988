"""The Lambda's entry: HTTP through API Gateway, or the request itself as the payload of a direct invocation."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.observability import FAILED, logger, report_failure
from link_function import routes, service
from link_function.requests import InvalidRequest, read_direct
from program_enrollments import DatabaseNotReady, LinkingUnavailable


class LinkingFailed(Exception):
    """Something went wrong that nobody foresaw; the log says what."""


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - anything may come
    """Answer an API Gateway proxy event with a response, and a direct invocation with the bare answer.

    A direct invocation raises `InvalidRequest` where the payload is malformed, `LinkingUnavailable` where the database
    is out of reach or out of time, `DatabaseNotReady` where it is not fit for linking, and else `LinkingFailed`.
    """
    match event:
        case {"httpMethod": str(), "path": str()}:
            logger.set_correlation_id(_request_id(event) or context.aws_request_id)
            return routes.resolve(event, context)
        case _:
            logger.set_correlation_id(context.aws_request_id)
            return _answer_directly(event, context)


def _answer_directly(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - likewise
    try:
        return service.link(read_direct(event), context).model_dump(mode="json", exclude_none=True)
    except (InvalidRequest, LinkingUnavailable, DatabaseNotReady):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its words are not for callers
        report_failure(error)
        raise LinkingFailed(FAILED) from None


def _request_id(event: dict[str, Any]) -> str | None:
    """API Gateway's own id of a request."""
    match event:
        case {"requestContext": {"requestId": str(request_id)}}:
            return request_id
    return None
