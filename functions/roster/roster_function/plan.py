"""The machine's first step: the roster is checked whole and cut, and what still has to be sent is written down."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from program_enrollments.errors import InvalidFile
from program_enrollments.rosters import read_roster
from roster_function import bucket
from roster_function.cutting import cut, oversized, repeated
from roster_function.kept import kept
from roster_function.record import Phase, Record, State

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
    pairs = read_roster(bucket.file(record), ignore_case=record.options.ignore_case).pairs
    # Where an account may take a key from another one, what is linked first matters to lines of different accounts:
    # they stay in the order of the file, and are sent one request after the other.
    together = frozenset[str]() if record.options.relink else repeated(pairs.values())
    if large := oversized(pairs.items(), together):
        raise InvalidFile(*(f"{username} is on more lines than one request can have" for username in large))
    path = bucket.run(record.roster_id, BATCHES)
    return len(pairs), bucket.write_lines(path, (_request(record, batch) for batch in cut(pairs.items(), together)))


def _request(record: Record, external_keys_to_usernames: Mapping[str, str]) -> dict[str, Any]:
    """What LinkFunction is asked for."""
    options = record.options
    asked = {
        "curriculum_uuid": options.curriculum_uuid and str(options.curriculum_uuid),
        "relink": options.relink,
        "ignore_case": options.ignore_case,
    }
    return {
        "program_uuid": record.program_uuid,
        "external_keys_to_usernames": external_keys_to_usernames,
        **{name: value for name, value in asked.items() if value},
    }


def _write_pending(record: Record) -> int:
    """Write the items of the machine's map: the requests without a kept answer. Return how many there are."""
    done = kept(record.roster_id, record.phase)
    items = (
        {"roster_id": record.roster_id, "phase": record.phase, "batch": number, "request": request}
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
    return 1 if record.options.relink else int(os.environ["ROSTER_CONCURRENCY"])
