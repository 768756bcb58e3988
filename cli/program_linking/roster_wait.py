"""Waiting for a roster to end, with progress."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from program_linking.output import note, progress
from program_linking.stopped import Stopped

if TYPE_CHECKING:
    from program_linking.roster_api import Roster

POLL_SECONDS = 2.0
# The form for a file is good for 15 minutes; then nothing can come any more.
UPLOAD_SECONDS = 1_200
WORDS = {
    "waiting-for-file": "Waiting for the file.",
    "checking": "The file is checked; nothing is changed yet.",
    "linking": "Its lines are sent.",
}


def wait_for_end(ask: Callable[[], "Roster"]) -> "Roster":
    """Ask for a roster until it has ended; raise `Stopped` if its file never came."""
    roster = ask()
    while not roster.has_ended:
        note(WORDS.get(roster.state, f"The roster is {roster.state}."))
        roster = _wait_for_change(ask, roster)
    return roster


def _wait_for_change(ask: Callable[[], "Roster"], roster: "Roster") -> "Roster":
    """Show progress until the roster is in another state, or its size is known."""
    with progress(roster.keys, "keys", shown=roster.keys is not None) as show:
        now = roster
        while (now.state, now.keys) == (roster.state, roster.keys):
            _refuse_to_wait_for_ever(now)
            show(now.done)
            time.sleep(POLL_SECONDS)
            now = ask()
        return now


def _refuse_to_wait_for_ever(roster: "Roster") -> None:
    waited = datetime.now(UTC) - datetime.fromisoformat(roster.created)
    if roster.state == "waiting-for-file" and waited.total_seconds() > UPLOAD_SECONDS:
        raise Stopped("Its file never came, and cannot come any more: submit it again.")
