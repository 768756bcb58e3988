"""The machine's first step: the roster is checked whole and cut, and what still has to be sent is written down."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

from lambda_runtime.rosters import State
from program_enrollments.errors import InvalidFile
from roster_function import bucket
from roster_function.kept import kept
from roster_function.record import Phase, Record

BATCHES = "batches.jsonl"


def plan(roster_id: str) -> dict[str, Any]:
    """Write down the requests that still have to be sent; say where, how many, and how many of them at once.

    There are none if the file is at fault, if the roster was stopped, or if all have been answered.
    """
    record = bucket.known(roster_id)
    if record.batches is None and record.state is not State.REFUSED:
        record = bucket.save(_checked(record))
    may_send = record.state is not State.REFUSED and not bucket.is_stopped(roster_id)
    return {
        "roster_id": roster_id,
        "requests": _write_pending(record) if may_send else 0,
        "bucket": bucket.name(),
        "path": _pending(record),
        "concurrency": _concurrency(record),
    }


def requests(roster_id: str) -> Iterator[dict[str, Any]]:
    """The requests of a roster, in the order of their numbers, which begin with 1."""
    return bucket.lines(bucket.run(roster_id, BATCHES))


def _checked(record: Record) -> Record:
    """Check and cut a roster; return its record as it is then."""
    if record.faults:
        return record.refused(record.faults)
    try:
        keys, batches = write_requests(record)
    except InvalidFile as error:
        return record.refused(error.faults, error.others)
    hesitates = record.options.dry_run or record.options.hold_above_percent is not None
    phase, state = (Phase.DRY, State.CHECKING) if hesitates else (Phase.LINK, State.LINKING)
    return record.but(keys=keys, batches=batches, phase=phase, state=state)


def write_requests(record: Record) -> tuple[int, int]:
    """Write the requests of a roster; return the number of its keys and theirs. Raise `InvalidFile`."""
    count, asked = record.kind.requests(bucket.file(record), record.options)
    path = bucket.run(record.roster_id, BATCHES)
    return count, bucket.write_lines(path, ({"program_uuid": record.program_uuid, **request} for request in asked))


def _write_pending(record: Record) -> int:
    """Write the items of the machine's map: the requests without a kept answer. Return how many there are."""
    done = kept(record.roster_id, record.phase)
    items = (
        {
            "roster_id": record.roster_id,
            "kind": record.options.kind,
            "phase": record.phase,
            "batch": number,
            "request": request,
        }
        for number, request in enumerate(_in_phase(record), start=1)
        if number not in done
    )
    return bucket.write_lines(_pending(record), items)


def _in_phase(record: Record) -> Iterable[dict[str, Any]]:
    asked = {"dry_run": True} if record.phase is Phase.DRY else {}
    return ({**request, **asked} for request in requests(record.roster_id))


def _pending(record: Record) -> str:
    return bucket.run(record.roster_id, f"{record.phase}.jsonl")


def _concurrency(record: Record) -> int:
    return 1 if record.kind.is_in_order(record.options) else int(os.environ["ROSTER_CONCURRENCY"])
