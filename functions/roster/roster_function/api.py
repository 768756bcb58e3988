"""What /rosters does: hand a roster in, look at it, stop it, resume it, list those of a program."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from lambda_runtime.rosters import NewEnrollments, NewLinks, State
from roster_function import bucket, machine
from roster_function.kept import count, kept
from roster_function.options import options_of
from roster_function.record import RESUMABLE, RUNNING, Phase, Record, now
from roster_function.view import summary

# So long after an attempt began, its execution is there or will never be.
STARTING_SECONDS = 60


class NoSuchRoster(Exception):
    """There is no roster with that id, or there is none any more."""


class NotNow(Exception):
    """What is asked for does not fit the state that the roster is in; the message says so."""


def submit(request: NewLinks | NewEnrollments, caller: str) -> dict[str, Any]:
    """Make a roster that waits for its file; answer where to send the file."""
    roster_id, program_uuid = str(uuid4()), str(request.program_uuid)
    record = Record(
        roster_id=roster_id,
        program_uuid=program_uuid,
        submitted_by=caller,
        created=now(),
        file=f"rosters/{program_uuid}/{roster_id}.csv",
        options=options_of(request),
    )
    return {**view(bucket.enter(record)), "upload": bucket.upload(record.file)}


def view(record: Record) -> dict[str, Any]:
    """A roster as it is now, with links to its results if it has any."""
    record = settled(record)
    if record.state not in RUNNING:
        return {**summary(record), "results": bucket.links(record) if record.counts else {}}
    counts = count(kept(record.roster_id, record.phase))
    return {**summary(record, counts), "stopping": bucket.is_stopped(record.roster_id), "results": {}}


def settled(record: Record) -> Record:
    """A roster's record; if the machine ended without writing so into it, as it would be then."""
    status = machine.end(record) if record.state in RUNNING else None
    if status is None or (status == machine.NEVER_STARTED and _seconds_since(record.started) < STARTING_SECONDS):
        return record
    now_known = bucket.known(record.roster_id)
    if now_known.state not in RUNNING or now_known.attempt != record.attempt:
        return now_known
    state = State.STOPPED if status == "ABORTED" else State.FAILED
    return now_known.but(state=state, message=f"The execution {record.execution} of the machine ended: {status}.")


def _seconds_since(time: str | None) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds() if time else 0.0


def listing(program_uuid: str, size: int, cursor: str) -> dict[str, Any]:
    """A page of the rosters of a program, the newest one first."""
    records, last = bucket.listed(program_uuid, size, cursor)
    return {"next": last, "results": [view(record) for record in records]}


def stop(record: Record) -> dict[str, Any]:
    """Let no further batch of a roster start; raise `NotNow` if none would."""
    record = settled(record)
    if record.state not in RUNNING | {State.STOPPED}:
        raise NotNow(f"The roster is {record.state}: there is nothing to stop.")
    if record.state in RUNNING:
        bucket.write(bucket.run(record.roster_id, bucket.STOP), b"")
    return view(record)


def resume(record: Record) -> dict[str, Any]:
    """Let a roster go on with the batches that have no answer yet; raise `NotNow` if it is not one that broke off."""
    record = settled(record)
    if record.state not in RESUMABLE:
        raise NotNow(f"The roster is {record.state}: only one that is stopped or failed can be resumed.")
    for mark in (bucket.STOP, bucket.TROUBLE):
        bucket.remove(bucket.run(record.roster_id, mark))
    is_cut = record.batches is not None
    state = State.LINKING if is_cut and record.phase is Phase.LINK else State.CHECKING
    again = record.but(state=state, attempt=record.attempt + 1, started=now(), ended=None, message=None, counts=None)
    machine.start(bucket.save(again))
    return view(again)
