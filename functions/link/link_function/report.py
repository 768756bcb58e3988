"""What is logged and measured of a batch. The error map is logged once; nothing else logs keys, usernames or bodies."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit

from lambda_runtime.observability import NAMESPACE, SERVICE, logger, metrics, records_of
from link_function.requests import LinkRequest
from program_enrollments import Code, Outcome, Refused


def report(request: LinkRequest, outcome: Outcome, seconds: float) -> None:
    """Log and measure what became of a batch that took that many seconds."""
    _log_errors(request, outcome)
    _log_details(request, outcome)
    _measure(request, outcome, seconds)


def _log_errors(request: LinkRequest, outcome: Outcome) -> None:
    """Log the error map, and the counts beside it; several numbered records where it is large."""
    counts = {
        "program_uuid": str(request.program_uuid),
        "requested": len(request.external_keys_to_usernames),
        "linked": outcome.linked,
        "failed": len(outcome.failures),
        "dry_run": request.dry_run,
    }
    if not outcome.failures:
        logger.info("Every key linked", extra={**counts, "errors": {}})
    for numbers, errors in records_of(list(outcome.errors.items())):
        logger.warning("Keys not linked", extra={**counts, **numbers, "errors": dict(errors)})


def _log_details(request: LinkRequest, outcome: Outcome) -> None:
    """Log what a person on call may want to know: ids and constraints, but neither keys nor usernames."""
    log = partial(_log_entries, str(request.program_uuid))
    refusals = [failure.refusal for failure in outcome.failures.values() if failure.refusal]
    log(logger.warning, "Keys rolled back", [_logged(refusal) for refusal in refusals])
    log(logger.error, "Course enrollments kept in their mode", [asdict(kept) for kept in outcome.kept_enrollments])
    log(
        logger.error,
        "Course roles not granted",
        [{"assignment_id": role.assignment_id, **_logged(role.refusal)} for role in outcome.unfulfilled_roles],
    )


def _log_entries(
    program_uuid: str, log: Callable[..., None], message: str, entries: Sequence[dict[str, object]]
) -> None:
    for numbers, some in records_of(entries):
        log(message, extra={"program_uuid": program_uuid, **numbers, "details": some})


def _logged(refusal: Refused) -> dict[str, object]:
    return {"sqlstate": refusal.sqlstate, "constraint": refusal.constraint, "detail": refusal.detail}


def _measure(request: LinkRequest, outcome: Outcome, seconds: float) -> None:
    """Measure the batch in CloudWatch's embedded format; a dry run's metrics bear a dimension that keeps them apart."""
    dimensions = {"service": SERVICE, **({"dry_run": "true"} if request.dry_run else {})}
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    metrics.add_metric("KeysRequested", MetricUnit.Count, len(request.external_keys_to_usernames))
    metrics.add_metric("KeysLinked", MetricUnit.Count, outcome.linked)
    failed = Counter(failure.code for failure in outcome.failures.values())
    metrics.add_metric("KeysAlreadyLinked", MetricUnit.Count, failed.pop(Code.ALREADY_LINKED, 0))
    metrics.add_metric("BatchDuration", MetricUnit.Milliseconds, seconds * 1000)
    metrics.flush_metrics()
    for code, count in failed.items():
        with single_metric("KeysFailed", MetricUnit.Count, count, namespace=NAMESPACE) as metric:
            for name, value in {**dimensions, "error_code": code.value}.items():
                metric.add_dimension(name, value)
