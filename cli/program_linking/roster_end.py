"""What a roster ended with: a table of what failed, a sum, files, and what to do next."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from program_enrollments.csv_files import cells_at, read_records, required_names
from program_linking.files import Save as SaveFile
from program_linking.files import report_file
from program_linking.output import print_table
from program_linking.roster_kinds import KINDS
from program_linking.stopped import Stopped
from program_linking.streams import write

if TYPE_CHECKING:
    from program_linking.roster_api import Roster

HAS_RESULTS = "failed.csv"
RESUME = "What is done stays done. To go on: program-linking roster resume {roster.roster_id} --url {url}"
ENDS = {
    "held": "More keys would fail than --hold-above allows: nothing was changed. Correct the file and submit it again.",
    "refused": "The file is at fault: nothing was changed.",
    "stopped": f"The roster was stopped. {RESUME}",
    "failed": f"The roster broke off. {RESUME}",
}

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

    columns = KINDS[roster.options["kind"]].columns(roster.options)
    layout, records = read_records(result(roster, "failed.csv"), columns)
    places = [layout.places[name] for name in required_names(columns)]
    print_table(
        [*required_names(columns), "code", "message"],
        [(*cells_at(cells, places), *cells[-2:]) for _, cells in records],
    )


def _sum(roster: "Roster") -> str:
    is_dry = roster.state == "held" or bool(roster.options.get("dry_run"))
    done = KINDS[roster.options["kind"]].done(roster, is_dry)
    opening = "Dry run, nothing was changed. " if is_dry else ""
    codes = ", ".join(f"{number:,} {code}" for code, number in roster.failed.items())
    failed = f"{sum(roster.failed.values()):,} failed" + (f" ({codes})" if codes else "")
    return f"{opening}{roster.done:,} of {roster.keys or 0:,} keys: {done}, {failed}.\n"
