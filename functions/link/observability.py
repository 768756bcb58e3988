"""What is logged and measured. The error map is logged once; nothing else logs keys, usernames or bodies."""

import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from program_enrollments import Outcome, Refused
from schemas import LinkRequest

SERVICE = "program-linking"
NAMESPACE = "ProgramLinking"
# A record stays under 200 KB with what stands beside its list; CloudWatch and the tools behind it cut larger ones.
RECORD_BYTES = 190_000
# All that a caller learns of an error that nobody foresaw.
FAILED = "The service failed; its log says why. Repeating the batch is safe."

logger = Logger(service=SERVICE)
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)


def report(request: LinkRequest, outcome: Outcome, seconds: float) -> None:
    """Log and measure what became of a batch that took that many seconds."""
    _log_errors(request, outcome)
    _log_details(request, outcome)
    _measure(request, outcome, seconds)


def report_failure(error: Exception) -> None:
    """Log an error that nobody foresaw by its kind and its place: what it says may hold keys or bodies."""
    at = "".join(traceback.format_tb(error.__traceback__))
    logger.error("Linking failed", extra={"error": type(error).__name__, "at": at})


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
    for numbers, errors in _records(list(outcome.errors.items())):
        logger.warning("Keys not linked", extra={**counts, **numbers, "errors": dict(errors)})


def _log_details(request: LinkRequest, outcome: Outcome) -> None:
    """Log what a person on call may want to know: ids and constraints, but neither keys nor usernames."""
    refusals = [failure.refusal for failure in outcome.failures.values() if failure.refusal]
    details: list[tuple[Callable[..., None], str, Sequence[dict[str, object]]]] = [
        (logger.warning, "Keys rolled back", [_logged(refusal) for refusal in refusals]),
        (logger.error, "Course enrollments kept in their mode", [asdict(kept) for kept in outcome.kept_enrollments]),
        (
            logger.error,
            "Course roles not granted",
            [{"assignment_id": role.assignment_id, **_logged(role.refusal)} for role in outcome.unfulfilled_roles],
        ),
    ]
    for log, message, entries in details:
        for numbers, some in _records(entries):
            log(message, extra={"program_uuid": str(request.program_uuid), **numbers, "details": some})


def _logged(refusal: Refused) -> dict[str, object]:
    return {"sqlstate": refusal.sqlstate, "constraint": refusal.constraint, "detail": refusal.detail}


def _records[T](entries: Sequence[T]) -> Iterator[tuple[dict[str, int], list[T]]]:
    """Deal entries out to as many records as their size asks for, each with its number and how many there are."""
    records: list[list[T]] = []
    size = RECORD_BYTES
    for entry in entries:
        entry_bytes = len(json.dumps(entry, ensure_ascii=False).encode())
        if size + entry_bytes > RECORD_BYTES:
            records.append([])
            size = 0
        records[-1].append(entry)
        size += entry_bytes
    for number, record in enumerate(records, start=1):
        yield {"record": number, "records": len(records)}, record


def _measure(request: LinkRequest, outcome: Outcome, seconds: float) -> None:
    """Measure the batch in CloudWatch's embedded format; a dry run's metrics bear a dimension that keeps them apart."""
    dimensions = {"service": SERVICE, **({"dry_run": "true"} if request.dry_run else {})}
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    metrics.add_metric("KeysRequested", MetricUnit.Count, len(request.external_keys_to_usernames))
    metrics.add_metric("KeysLinked", MetricUnit.Count, outcome.linked)
    metrics.add_metric("BatchDuration", MetricUnit.Milliseconds, seconds * 1000)
    metrics.flush_metrics()
    for code, count in Counter(failure.code for failure in outcome.failures.values()).items():
        with single_metric("KeysFailed", MetricUnit.Count, count, namespace=NAMESPACE) as metric:
            for name, value in {**dimensions, "error_code": code.value}.items():
                metric.add_dimension(name, value)
