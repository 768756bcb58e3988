"""The logger and the metrics of the service, and records of any length."""

import json
import traceback
from collections.abc import Iterator, Sequence

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

SERVICE = "program-linking"
NAMESPACE = "ProgramLinking"
# A record stays under 200 KB with what stands beside its list; CloudWatch and the tools behind it cut larger ones.
RECORD_BYTES = 190_000
# All that a caller learns of an error that nobody foresaw.
FAILED = "The service failed; its log says why. Repeating the batch is safe."

logger = Logger(service=SERVICE)
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)


def report_failure(error: Exception) -> None:
    """Log an error that nobody foresaw by its kind and its place: what it says may hold keys or bodies."""
    at = "".join(traceback.format_tb(error.__traceback__))
    sqlstate = getattr(error, "sqlstate", None)
    logger.error("Linking failed", extra={"error": type(error).__name__, "sqlstate": sqlstate, "at": at})


def report_recovery(metric: str, message: str, reason: str) -> None:
    """Log and count a failure that the caller will hear nothing of, as it is tried again."""
    logger.warning(message, extra={"reason": reason})
    with single_metric(metric, MetricUnit.Count, 1, namespace=NAMESPACE) as counted:
        counted.add_dimension("service", SERVICE)


def records_of[T](entries: Sequence[T]) -> Iterator[tuple[dict[str, int], list[T]]]:
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
