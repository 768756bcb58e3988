"""A roster as it is shown: to callers, in an event, and in a mail."""

from typing import Any

from lambda_runtime.rosters import Counts, State
from roster_function.record import Record

WORDS = {
    State.FINISHED: "All lines were sent.",
    State.HELD: "More keys would fail than it allows: nothing was changed.",
    State.REFUSED: "The file is at fault: nothing was changed.",
    State.STOPPED: "It was stopped: what was done stays done. Resume it to go on.",
    State.FAILED: "It broke off: what was done stays done. Resume it to go on.",
}


def summary(record: Record, counts: Counts | None = None) -> dict[str, Any]:
    """The fields of a roster; the counts are its own, if it has ended."""
    fields = record.model_dump(mode="json", exclude={"counts", "version", "phase", "attempt", "batches", "options"})
    counted = (counts or record.counts or Counts()).model_dump()
    return {**fields, "options": record.options.model_dump(mode="json", exclude_none=True), **counted}


def mail(record: Record) -> dict[str, str]:
    """A short mail, without keys and usernames; a subject of SNS has at most 100 characters, in ASCII."""
    name = record.file.rpartition("/")[2]
    subject = f"Roster {record.state}: {name}".encode("ascii", "replace").decode()[:100]
    return {"subject": subject, "text": "\n".join(_lines(record))}


def _lines(record: Record) -> list[str]:
    counts = record.counts or Counts()
    failed = ", ".join(f"{number:,} {code}" for code, number in counts.failed.items())
    counted = ", ".join(f"{words}: {getattr(counts, name):,}" for name, words in record.kind.COUNTED.items())
    would = " (a dry run)" if record.options.dry_run or record.state is State.HELD else ""
    return [
        WORDS[record.state],
        *([f"Reason: {record.message}"] if record.message else []),
        *([f"Faults: {record.fault_count:,}"] if record.fault_count else []),
        "",
        f"File: {record.file}",
        f"Roster: {record.roster_id}",
        f"Program: {record.program_uuid}",
        f"Handed in by: {record.submitted_by}",
        f"Keys: {record.keys or 0:,}, done: {counts.done:,}{would}",
        counted,
        f"Failed: {sum(counts.failed.values()):,}" + (f" ({failed})" if failed else ""),
    ]
