"""What is logged and measured of a batch. The error map is logged once; nothing else logs keys, usernames or bodies."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit

from lambda_runtime.observability import NAMESPACE, SERVICE, logger, metrics, records_of
from link_function.requests import LinkRequest
from program_enrollments import Code, Outcome, Refused

if TYPE_CHECKING:  # a cold start of a linking request does not pay for it
    from link_function.enrollment_requests import CourseWriteRequest, ProgramWriteRequest
    from program_enrollments.enrolling.rows import Written


def report(request: LinkRequest, outcome: Outcome, seconds: float) -> None:
    """Log and measure what became of a batch that took that many seconds."""
    _log_errors(request, outcome)
    _log_details(request, outcome)
    _measure(request, outcome, seconds)


def _log_errors(request: LinkRequest, outcome: Outcome) -> None:
    """Log the error map, and the counts beside it; several numbered records if it is large.

    A key that was linked to its account before is in the map, as it is in the answer, but is no failure.
    """
    already_linked = _already_linked(outcome)
    counts = {
        "program_uuid": str(request.program_uuid),
        "requested": len(request.external_keys_to_usernames),
        "linked": outcome.linked,
        "already_linked": already_linked,
        "failed": len(outcome.failures) - already_linked,
        "dry_run": request.dry_run,
    }
    log, message = (logger.warning, "Keys not linked") if counts["failed"] else (logger.info, "Every key linked")
    if not outcome.failures:
        log(message, extra={**counts, "errors": {}})
    for numbers, errors in records_of(list(outcome.errors.items())):
        log(message, extra={**counts, **numbers, "errors": dict(errors)})


def _log_details(request: LinkRequest, outcome: Outcome) -> None:
    """Log what a person on call may want to know: ids and constraints, but neither keys nor usernames."""
    log = partial(_log_entries, str(request.program_uuid))
    refusals = [failure.refusal for failure in outcome.failures.values() if failure.refusal]
    log(logger.warning, "Keys rolled back", [_logged(refusal) for refusal in refusals])
    log(logger.error, "Course enrollments kept in their mode", [kept._asdict() for kept in outcome.kept_enrollments])
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


def _already_linked(outcome: Outcome) -> int:
    return sum(failure.code is Code.ALREADY_LINKED for failure in outcome.failures.values())


def _measure(request: LinkRequest, outcome: Outcome, seconds: float) -> None:
    failed: Counter[str] = Counter(failure.code for failure in outcome.failures.values())
    counted = {
        "KeysRequested": len(request.external_keys_to_usernames),
        "KeysLinked": outcome.linked,
        "KeysAlreadyLinked": failed.pop(Code.ALREADY_LINKED, 0),
    }
    _emit(counted, "KeysFailed", failed, seconds, is_dry=request.dry_run)


def _emit(
    counted: Mapping[str, int], failures: str, failed: Mapping[str, int], seconds: float, *, is_dry: bool
) -> None:
    """Measure a batch in CloudWatch's embedded format; a dry run's metrics have a dimension that keeps them apart."""
    dimensions = {"service": SERVICE, **({"dry_run": "true"} if is_dry else {})}
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    for name, count in counted.items():
        metrics.add_metric(name, MetricUnit.Count, count)
    metrics.add_metric("BatchDuration", MetricUnit.Milliseconds, seconds * 1000)
    metrics.flush_metrics()
    for code, count in failed.items():
        with single_metric(failures, MetricUnit.Count, count, namespace=NAMESPACE) as metric:
            for name, value in {**dimensions, "error_code": str(code)}.items():
                metric.add_dimension(name, value)


def report_rows(request: "ProgramWriteRequest | CourseWriteRequest", written: "Written", seconds: float) -> None:
    """Log and measure what became of a batch of rows that took that many seconds."""
    verdicts = written.verdicts
    place = {"program_uuid": str(request.program_uuid), "course_key": getattr(request, "course_key", None)}
    counts = {**place, "requested": len(request.enrollments), "failed": len(verdicts), "dry_run": request.dry_run}
    if not verdicts:
        logger.info("Every row written", extra={**counts, "errors": {}})
    for numbers, errors in records_of(list(verdicts.items())):
        logger.warning("Rows not written", extra={**counts, **numbers, "errors": dict(errors)})
    log = partial(_log_entries, str(request.program_uuid))
    log(logger.warning, "Rows rolled back", [_logged(refusal) for refusal in written.refusals])
    log(logger.error, "Course enrollments kept in their mode", [kept._asdict() for kept in written.kept_enrollments])
    log(logger.error, "Keys active through another program", [it._asdict() for it in written.active_elsewhere])
    counted = {"RowsRequested": len(request.enrollments), "RowsWritten": len(request.enrollments) - len(verdicts)}
    _emit(counted, "RowsFailed", Counter(verdicts.values()), seconds, is_dry=request.dry_run)
