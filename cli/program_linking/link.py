"""`program-linking link`: keys get their accounts, in the database that the PG* variables name or by the API."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer

from program_enrollments import InvalidFile, ProgramEnrollmentsError
from program_enrollments.limits import MOST_KEYS
from program_enrollments.rosters import read_items, read_roster
from program_linking import options
from program_linking.files import Save, is_same_file, read_file, report_file
from program_linking.linkers import LinkBatch, linker
from program_linking.output import note, on_terminal, progress
from program_linking.results import LINKED, Result, failed, print_results, write_failed, write_results
from program_linking.stopped import Stopped, TooLarge
from program_linking.streams import write

EXAMPLE = "Example: program-linking link 5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10 --csv roster.csv --errors failed.csv"
AGAIN = "Run the same command again: what is linked already stays so."
# While a bar is shown, so that it moves.
MOST_KEYS_BELOW_A_BAR = 2_000

Items = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY:USERNAME]...", help="External user keys and LMS usernames.", show_default=False),
]
Errors = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write the lines that failed here, to be corrected and sent again.")
]
Results = Annotated[str | None, typer.Option(metavar="FILE", help="Write all lines here, each with its outcome.")]
Relink = Annotated[bool, typer.Option("--relink", help="Take enrollments from the accounts that hold them.")]


def link(  # noqa: PLR0913 - the options of the verb
    program_uuid: options.Program,
    items: Items = None,
    *,
    csv: options.Csv = None,
    errors: Errors = None,
    results: Results = None,
    curriculum: options.Curriculum = None,
    relink: Relink = False,
    ignore_case: options.IgnoreCase = False,
    dry_run: options.DryRun = False,
    url: options.Url = None,
    token: options.Token = None,
) -> int:
    """Link external user keys of a program to LMS accounts.

    The keys are items, each split at its last colon, or lines of a CSV file. All are checked before any is sent. What
    is linked already stays so and is no failure: a command that stopped can be run again as it is.
    """
    _refuse_overwriting(csv, errors, results)
    roster, encoding = _roster(items, csv, ignore_case=ignore_case)
    if url and len(roster) > MOST_KEYS:
        note("For files of this size there is `program-linking roster`, which goes on without this computer.")
    choices = {"curriculum_uuid": curriculum, "relink": relink, "ignore_case": ignore_case, "dry_run": dry_run}
    done: dict[str, Result] = {}
    with (
        _advice(done),
        report_file(errors, encoding) as save_errors,
        report_file(results, encoding) as save_results,
        linker(program_uuid, choices, url, token) as link_batch,
        _reported(roster, done, save_errors, save_results, dry_run=dry_run),
    ):
        _link_in_batches(link_batch, roster, done)
    if not failed(done):
        return 0
    if errors:
        write([f"Correct what failed and send it again: --csv {errors}\n"])
    return 1


@contextmanager
def _advice(done: Mapping[str, Result]) -> Iterator[None]:
    """Say, if the command stops halfway, that it can be run again."""
    try:
        yield
    except (Stopped, ProgramEnrollmentsError) as error:
        raise Stopped(f"{error}\n{AGAIN}" if done else str(error)) from error
    except KeyboardInterrupt as error:
        halfway = f"Interrupted with {len(done):,} keys done; the batch under way may be done too."
        raise KeyboardInterrupt(f"{halfway}\n{AGAIN}") from error


@contextmanager
def _reported(
    roster: Mapping[str, str], done: Mapping[str, Result], save_errors: Save, save_results: Save, *, dry_run: bool
) -> Iterator[None]:
    """Report at the end what is done, if anything: the table first, and each part whatever becomes of the others."""
    try:
        yield
    finally:
        with ExitStack() as parts:
            if done:
                parts.callback(save_errors, lambda file: write_failed(file, roster, done))
                parts.callback(save_results, lambda file: write_results(file, roster, done))
                print_results(roster, done, dry_run=dry_run)


def _refuse_overwriting(csv: str | None, errors: str | None, results: str | None) -> None:
    for one, other, names in (
        (csv, errors, "--errors would overwrite the file that --csv reads."),
        (csv, results, "--results would overwrite the file that --csv reads."),
        (errors, results, "--errors and --results are the same file."),
    ):
        if is_same_file(one, other):
            raise Stopped(names)


def _roster(items: list[str] | None, csv: str | None, *, ignore_case: bool) -> tuple[dict[str, str], str]:
    """The pairs, checked, and the encoding for the files that report on them: Excel's if it wrote the roster."""
    if bool(items) == (csv is not None):
        raise Stopped("Give either KEY:USERNAME items or --csv FILE.")
    try:
        if csv is None:
            return read_items(items or [], ignore_case=ignore_case), "utf-8"
        roster = read_roster(read_file(csv), ignore_case=ignore_case)
    except InvalidFile as error:
        raise Stopped(f"Nothing was sent.\n{error}") from error
    return roster.pairs, roster.layout.encoding


def _link_in_batches(link_batch: LinkBatch, roster: Mapping[str, str], done: dict[str, Result]) -> None:
    """Link batch after batch, in halves of what turns out to be too large; `done` has what is done so far."""
    has_bar = len(roster) > MOST_KEYS_BELOW_A_BAR and on_terminal(sys.stderr)
    size = MOST_KEYS_BELOW_A_BAR if has_bar else MOST_KEYS
    keys = list(roster)
    with progress(len(keys), "keys", shown=has_bar) as show:
        while batch := {key: roster[key] for key in keys[len(done) : len(done) + size]}:
            size = _link_or_halve(link_batch, batch, done)
            show(len(done))


def _link_or_halve(link_batch: LinkBatch, batch: Mapping[str, str], done: dict[str, Result]) -> int:
    """Link a batch, unless it is too large; return how many keys the next one may have."""
    try:
        failures = link_batch(batch)
    except TooLarge:
        if len(batch) == 1:
            raise
        return len(batch) // 2
    done |= {key: failures.get(key, (LINKED, "")) for key in batch}
    return len(batch)
