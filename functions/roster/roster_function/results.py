"""The files that say what became of each line of a roster, in the order of its file."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from program_enrollments.csv_files import Layout, trimmed
from program_enrollments.rosters import COLUMNS, roster_lines
from roster_function import bucket
from roster_function.kept import ALREADY_LINKED, LINKED, failures
from roster_function.plan import requests
from roster_function.record import Record

FAILED, NOT_DONE = "failed", "not-done"
REPORT = ("code", "message")


class Result(NamedTuple):
    """What became of a key; code and message are empty if it was newly linked, or not sent."""

    outcome: str
    code: str = ""
    message: str = ""


def write_results(record: Record, answers: Mapping[int, str]) -> None:
    """Write `results.csv` with every line, and `failed.csv` with the failed ones as a roster that can be sent again."""
    layout, lines = roster_lines(bucket.file(record))
    columns = _columns(layout)
    results = _results(record, answers)
    with (
        bucket.written(bucket.result(record.roster_id, "results.csv"), layout.encoding) as every,
        bucket.written(bucket.result(record.roster_id, "failed.csv"), layout.encoding) as failed,
    ):
        write, write_failed = (
            csv.writer(file, delimiter=layout.delimiter, lineterminator="\n").writerow for file in (every, failed)
        )
        write([*COLUMNS, "outcome", *REPORT])
        write_failed([*columns.values(), *REPORT])
        for line in lines:
            result = results.get(line.external_user_key, Result(LINKED))
            write([line.external_user_key, line.lms_username, *result])
            if result.outcome == FAILED:
                write_failed([*_kept_cells(line.cells, columns), result.code, result.message])


def _results(record: Record, answers: Mapping[int, str]) -> dict[str, Result]:
    """What became of each key that was not newly linked."""
    results = {
        key: Result(ALREADY_LINKED if code == ALREADY_LINKED else FAILED, code, message)
        for key, code, message in failures(record.roster_id, record.phase, answers)
    }
    if len(answers) == record.batches:
        return results
    for number, request in enumerate(requests(record.roster_id), start=1):
        if number not in answers:
            results |= dict.fromkeys(request["external_keys_to_usernames"], Result(NOT_DONE))
    return results


def _columns(layout: Layout) -> dict[int, str]:
    """The columns of the file by their places: without those of an earlier report."""
    header = layout.header or COLUMNS
    return {place: name for place, name in enumerate(header) if place in layout.places.values() or name not in REPORT}


def _kept_cells(cells: Sequence[str], places: Iterable[int]) -> list[str]:
    return [trimmed(cells[place]) if place < len(cells) else "" for place in places]
