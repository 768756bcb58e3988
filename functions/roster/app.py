"""The Lambda's entry: /rosters through API Gateway, files that arrived in the bucket, and the steps of the machine."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.events import caller, is_proxy_event, other_door, refuse_door, request_id
from lambda_runtime.observability import logger
from lambda_runtime.refusals import InvalidRequest
from roster_function import bucket, routes
from roster_function.arrival import arrive
from roster_function.collect import collect
from roster_function.kept import keep
from roster_function.kinds import KINDS, USUAL
from roster_function.plan import plan
from roster_function.record import Phase
from roster_function.trouble import note


def _keep(roster_id: str, phase: str, batch: int, answer: Mapping[str, Any], kind: str = USUAL) -> dict[str, Any]:
    keep(roster_id, KINDS[kind], Phase(phase), batch, answer)
    return {}


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "plan": plan,
    "ask": lambda roster_id: {"may_start": not bucket.is_stopped(roster_id)},
    "keep": _keep,
    "note": note,
    "collect": collect,
}


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - anything may come
    """Answer a request, take in a file that arrived, or do a step of the machine; raise `InvalidRequest` for others."""
    logger.set_correlation_id(request_id(event) or context.aws_request_id)
    if is_proxy_event(event):
        if (who := caller(event)) is not None:
            logger.append_keys(caller=who)
        return routes.resolve(event)
    if (door := other_door(event)) is not None:
        return refuse_door(door)
    match event:
        case {"source": "aws.s3", "detail": {"object": {"key": str()}}}:
            arrive(event)
            return {}
        case {"roster_id": str(roster_id), "step": str(name)} if name in STEPS:
            logger.append_keys(roster_id=roster_id)
            return STEPS[name](**{name: value for name, value in event.items() if name != "step"})
    raise InvalidRequest("This is no request, no event of the bucket, and no step of the state machine.")
