"""The machine's last step: what became of a roster, in its record and in files."""

import os
from typing import Any

from lambda_runtime.rosters import Counts, State
from roster_function import bucket
from roster_function.kept import count, kept
from roster_function.record import Phase, Record, now
from roster_function.results import write_results
from roster_function.view import mail, summary

NO_REASON = "The machine ended before all requests were answered; the log of its execution says why."


def collect(roster_id: str) -> dict[str, Any]:
    """Write the results of a roster and end it; or say that it is to go `again`, after its dry run, to be linked."""
    record = bucket.known(roster_id)
    answers = kept(roster_id, record.phase)
    counts = count(answers)
    state = _state(record, counts, is_complete=len(answers) == record.batches)
    if state is State.LINKING:
        bucket.save(record.but(state=state, phase=Phase.LINK))
        return {"roster_id": roster_id, "again": True}
    ended = record.but(state=state, counts=counts, ended=now(), message=_message(roster_id, state))
    if record.batches is not None:
        write_results(ended, answers)
    bucket.write_json(f"results/{roster_id}/summary.json", summary(ended))
    bucket.save(ended)
    return {"roster_id": roster_id, "again": False, **_announcement(ended)}


def _state(record: Record, counts: Counts, *, is_complete: bool) -> State:
    """How a roster ends, `linking` if it does not end yet."""
    if record.state is State.REFUSED:
        return State.REFUSED
    if is_complete and record.phase is Phase.DRY and _fail_too_many(record, counts):
        return State.HELD
    if is_complete and (record.phase is Phase.LINK or record.options.dry_run):
        return State.FINISHED
    if bucket.is_stopped(record.roster_id):
        return State.STOPPED
    return State.LINKING if is_complete else State.FAILED


def _fail_too_many(record: Record, counts: Counts) -> bool:
    percent = record.options.hold_above_percent
    failed = sum(counts.failed.values())
    return percent is not None and failed * 100 > percent * counts.done


def _message(roster_id: str, state: State) -> str | None:
    """Why a roster failed, in the words of the request that did."""
    if state is not State.FAILED:
        return None
    return (bucket.read(bucket.run(roster_id, bucket.TROUBLE)) or NO_REASON.encode()).decode()


def _announcement(record: Record) -> dict[str, Any]:
    """What goes into the event and the mail: faults may name keys, and stay in the bucket."""
    topic = os.environ.get("ROSTER_TOPIC_ARN")
    return {
        "is_failed": record.state is State.FAILED,
        "summary": {name: value for name, value in summary(record).items() if name != "faults"},
        **({"topic": topic, "mail": mail(record)} if topic else {}),
    }
