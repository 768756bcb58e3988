"""What a roster ended with: a table of what failed, a sum, files, and what to do next."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from program_enrollments.rosters import COLUMNS, roster_lines
from program_linking.files import Save as SaveFile
from program_linking.files import report_file
from program_linking.output import print_table
from program_linking.stopped import Stopped
from program_linking.streams import write

if TYPE_CHECKING:
    from program_linking.roster_api import Roster

HAS_RESULTS = "failed.csv"
RESUME = "What is done stays done. To go on: program-linking roster resume {roster.roster_id} --url {url}"
ENDS = {
    "held": "More keys would fail than --hold-above allows: nothing was linked. Correct the file, and submit it again.",
    "refused": "The file is at fault: nothing was linked.",
    "stopped": f"The roster was stopped. {RESUME}",
    "failed": f"The roster broke off. {RESUME}",
}

# Writes the results of a roster into the files that were asked for.
type Save = Callable[["Roster"], None]


@contextmanager
def saving(errors: str | None, results: str | None) -> Iterator[Save]:
    """Make sure that the files can be written, before anything is done that they are to report."""
    with report_file(errors, "utf-8") as save_errors, report_file(results, "utf-8") as save_results:

        def save(roster: "Roster") -> None:
            if errors:
                _save(roster, "failed.csv", save_errors)
            if results:
                _save(roster, "results.csv", save_results)

        yield save


def show_end(roster: "Roster", save: Save, url: str) -> int:
    """Show and save what a roster ended with; return the exit status, or raise `Stopped` unless it has finished."""
    if HAS_RESULTS in roster.results:
        if roster.failed:
            _print_failed(roster)
        write([_sum(roster)])
        save(roster)
    if roster.state != "finished":
        said = ENDS[roster.state].format(roster=roster, url=url)
        more = [f"and {roster.fault_count - len(roster.faults):,} more faults"] * (
            roster.fault_count > len(roster.faults)
        )
        raise Stopped("\n".join([said, *([roster.message] if roster.message else []), *roster.faults, *more]))
    return 1 if roster.failed else 0


def _save(roster: "Roster", part: str, save: SaveFile) -> None:
    from program_linking.roster_api import result  # noqa: PLC0415 - with httpx, which takes its time

    text = result(roster, part).decode()
    save(lambda file: file.writelines([text]))


def _print_failed(roster: "Roster") -> None:
    from program_linking.roster_api import result  # noqa: PLC0415 - likewise

    _, lines = roster_lines(result(roster, "failed.csv"))
    rows = [(line.external_user_key, line.lms_username, *line.cells[-2:]) for line in lines]
    print_table([*COLUMNS, "code", "message"], rows)


def _sum(roster: "Roster") -> str:
    is_dry = roster.state == "held" or bool(roster.options.get("dry_run"))
    opening, verb = ("Dry run, nothing was changed. ", "to link") if is_dry else ("", "linked")
    codes = ", ".join(f"{number:,} {code}" for code, number in roster.failed.items())
    failed = f"{sum(roster.failed.values()):,} failed" + (f" ({codes})" if codes else "")
    counts = f"{roster.linked:,} {verb}, {roster.already_linked:,} linked already, {failed}"
    return f"{opening}{roster.done:,} of {roster.keys or 0:,} keys: {counts}.\n"
