"""The Lambda's entry: HTTP through API Gateway, or the request itself as the payload of a direct invocation."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.events import caller, is_proxy_event, other_door, refuse_door, request_id
from lambda_runtime.observability import logger
from lambda_runtime.refusals import read
from link_function import routes, service
from link_function.failures import LinkingFailed, failure
from link_function.requests import LinkRequest

__all__ = ["LinkingFailed", "lambda_handler"]


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - anything may come
    """Answer an API Gateway proxy event with a response, and a direct invocation with the bare answer.

    A direct invocation raises `InvalidRequest` if the payload is malformed, `LinkingUnavailable` if the database is out
    of reach or out of time, `DatabaseNotReady` if it is not fit for linking, and else `LinkingFailed`.
    """
    logger.set_correlation_id(context.aws_request_id)
    if is_proxy_event(event):
        logger.set_correlation_id(request_id(event) or context.aws_request_id)
        if (who := caller(event)) is not None:
            logger.append_keys(caller=who)
        return routes.resolve(event, context)
    if (door := other_door(event)) is not None:
        return refuse_door(door)
    return _answer_directly(event, context)


def _answer_directly(event: object, context: LambdaContext) -> dict[str, Any]:
    try:
        if isinstance(event, dict) and "enrollments" in event:
            return _enroll(event, context)
        return service.link(read(LinkRequest, event), context).model_dump(mode="json", exclude_none=True)
    except Exception as error:  # noqa: BLE001 - one place says what becomes of each
        raise failure(error).error from None


def _enroll(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    # A cold start of a linking request does not pay for it.
    from link_function import writing  # noqa: PLC0415
    from link_function.enrollment_requests import CourseWriteRequest, ProgramWriteRequest  # noqa: PLC0415

    model = CourseWriteRequest if "course_key" in event else ProgramWriteRequest
    return writing.answer_directly(read(model, event), context)
