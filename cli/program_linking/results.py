"""What became of each key of a roster: a table, a sum, and files."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TextIO

from program_enrollments import Code
from program_enrollments.rosters import COLUMNS
from program_linking.output import print_table
from program_linking.streams import write

# Up to so many keys, the table has the linked ones too.
MOST_ROWS = 20
LINKED = "linked"

# `linked`, or the code and the message of a failure.
type Result = tuple[str, str]


def failed(results: Mapping[str, Result]) -> dict[str, Result]:
    """The keys that are not linked to their accounts now."""
    return {key: result for key, result in results.items() if result[0] not in {LINKED, Code.ALREADY_LINKED}}


def print_results(roster: Mapping[str, str], results: Mapping[str, Result], *, dry_run: bool) -> None:
    """Show the keys that are done: all if they are few, else the failed ones; and how many came to what."""
    shown = results if len(results) <= MOST_ROWS else failed(results)
    words = {LINKED: "to link"} if dry_run else {}
    rows = [(key, roster[key], words.get(outcome, outcome), message) for key, (outcome, message) in shown.items()]
    if rows:
        print_table([*COLUMNS, "outcome", "message"], rows)
    write([_summary(results, len(roster), dry_run=dry_run)])


def write_failed(file: TextIO, roster: Mapping[str, str], results: Mapping[str, Result]) -> None:
    """Write the failed lines, each with its code and message, as a roster that can be corrected and sent again."""
    lines = ((key, roster[key], code, message) for key, (code, message) in failed(results).items())
    write_lines(file, [*COLUMNS, "code", "message"], lines)


def write_results(file: TextIO, roster: Mapping[str, str], results: Mapping[str, Result]) -> None:
    """Write every line with its outcome: `linked`, `already-linked`, `failed`, or `not-done` if the command stopped."""
    lines = ([key, username, *_outcome(results.get(key))] for key, username in roster.items())
    write_lines(file, [*COLUMNS, "outcome", "code", "message"], lines)


def _outcome(result: Result | None) -> tuple[str, str, str]:
    match result:
        case None:
            return "not-done", "", ""
        case ("linked", _):
            return LINKED, "", ""
        case (Code.ALREADY_LINKED as code, message):
            return code, code, message
        case (code, message):
            return "failed", code, message


def write_lines(file: TextIO, header: Iterable[str], lines: Iterable[Iterable[str]]) -> None:
    """Write lines below a header."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)


def _summary(results: Mapping[str, Result], total: int, *, dry_run: bool) -> str:
    codes = Counter(outcome for outcome, _ in results.values())
    linked, already = codes.pop(LINKED, 0), codes.pop(Code.ALREADY_LINKED, 0)
    opening, verb = ("Dry run, nothing was changed. ", "to link") if dry_run else ("", "linked")
    by_code = f" ({', '.join(f'{count:,} {code}' for code, count in codes.most_common())})" if codes else ""
    return (
        f"{opening}{len(results):,} of {total:,} keys: {linked:,} {verb}, {already:,} linked already,"
        f" {codes.total():,} failed{by_code}.\n"
    )
