"""The files that say what became of each line of a roster, in the order of its file."""

import csv
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from program_enrollments.csv_files import Layout, cells_at, read_records, required_names
from roster_function import bucket
from roster_function.kept import failures
from roster_function.links import ALREADY_LINKED
from roster_function.plan import requests
from roster_function.record import Record

FAILED, NOT_DONE = "failed", "not-done"
REPORT = ("code", "message")


class Result(NamedTuple):
    """What became of a key; code and message are empty if it was newly linked or written, or not sent."""

    outcome: str
    code: str = ""
    message: str = ""


def write_results(record: Record, answers: Mapping[int, str]) -> None:
    """Write `results.csv` with every line, and `failed.csv` with the failed ones as a roster that can be sent again."""
    layout, records = read_records(bucket.file(record), record.kind.columns(record.options))
    shown = required_names(record.kind.columns(record.options))
    places = [layout.places[name] for name in shown]
    columns = _columns(layout, shown)
    results = _results(record, answers)
    with (
        bucket.written(bucket.result(record.roster_id, "results.csv"), layout.encoding) as every,
        bucket.written(bucket.result(record.roster_id, "failed.csv"), layout.encoding) as failed,
    ):
        write, write_failed = (
            csv.writer(file, delimiter=layout.delimiter, lineterminator="\n").writerow for file in (every, failed)
        )
        write([*shown, "outcome", *REPORT])
        write_failed([*columns.values(), *REPORT])
        for _, cells in records:
            key, wanted = cells_at(cells, places)
            result = results.get(key, Result(record.kind.DONE))
            write([key, wanted, *result])
            if result.outcome == FAILED:
                write_failed([*cells_at(cells, columns), result.code, result.message])


def _results(record: Record, answers: Mapping[int, str]) -> dict[str, Result]:
    """What became of each key that was not newly linked or written."""
    results = {
        key: Result(ALREADY_LINKED if code == ALREADY_LINKED else FAILED, code, message)
        for key, code, message in failures(record, answers)
    }
    if len(answers) == record.batches:
        return results
    for number, request in enumerate(requests(record.roster_id), start=1):
        if number not in answers:
            results |= dict.fromkeys(record.kind.keys(request), Result(NOT_DONE))
    return results


def _columns(layout: Layout, required: Sequence[str]) -> dict[int, str]:
    """The columns of the file by their places: without those of an earlier report."""
    header = layout.header or required
    return {place: name for place, name in enumerate(header) if place in layout.places.values() or name not in REPORT}
