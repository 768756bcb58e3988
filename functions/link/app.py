"""The Lambda's entry: HTTP through API Gateway, or the request itself as the payload of a direct invocation."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

import routes
import service
from observability import logger
from schemas import read_direct


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - anything may come
    """Answer an API Gateway proxy event with a response, and a direct invocation with the bare answer.

    A direct invocation raises `InvalidRequest` where the payload is malformed, and `LinkingUnavailable` where the
    database is out of reach or out of time.
    """
    match event:
        case {"httpMethod": str(), "path": str()}:
            logger.set_correlation_id(_request_id(event) or context.aws_request_id)
            return routes.resolve(event, context)
        case _:
            logger.set_correlation_id(context.aws_request_id)
            return service.link(read_direct(event), context).model_dump(mode="json", exclude_none=True)


def _request_id(event: dict[str, Any]) -> str | None:
    """API Gateway's own id of a request."""
    match event:
        case {"requestContext": {"requestId": str(request_id)}}:
            return request_id
    return None
