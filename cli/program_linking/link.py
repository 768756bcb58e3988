"""Link at a shell: `program-linking PROGRAM_UUID [KEY:USERNAME …]`, or with `--csv FILE`.

Keys are linked in the database that the PG* variables name or, with `--url`, by the deployed API; in batches, each of
which is done whole or not at all. The exit status is

- 0 where every key is linked to its account now,
- 1 where some are not: they are told one by one, and `--errors` writes them to a file,
- 2 where the command was refused or had to stop, 130 where Ctrl-C stopped it; standard error says why.

A command that was stopped is safe to run again as it is. That is why keys that were linked to the same account before
are counted apart and as linked, where the API calls them failures: the status of the second run tells whether anything
is left to mend, as that of the first would have.
"""

import argparse
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from typing import Any, TextIO
from uuid import UUID

from program_enrollments import (
    Code,
    DatabaseNotReady,
    LinkingUnavailable,
    Outcome,
    check_database,
    link_program_enrollments,
)
from program_enrollments.limits import MOST_KEYS
from program_enrollments.postgres.connect import connected
from program_enrollments.postgres.session import Connection
from program_enrollments.rosters import COLUMNS, InvalidInput, read_csv, read_items, write_failed
from program_linking.api import ApiRefused, TooLarge, connect_to_api, endpoint

# Up to so many keys, the table tells of the linked ones too.
MOST_ROWS = 20
BAR_WIDTH = 40
LINKED = "linked"
REFUSED, INTERRUPTED = 2, 130
DATABASE_HINT = "Look at PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD, or give --url."
AGAIN_HINT = "Run the same command again: what is linked already stays so."

# What became of a key: `linked`, or the code and the message of its failure.
type Result = tuple[str, str]
type LinkBatch = Callable[[Mapping[str, str]], Mapping[str, Result]]


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit status."""
    _show_whatever_comes()
    arguments = _arguments(argv)
    results: dict[str, Result] = {}
    try:
        roster, encoding = _roster(arguments)
        with _linker(arguments) as link_batch, _errors_file(arguments.errors, encoding) as errors_file:
            try:
                _link_in_batches(link_batch, roster, results)
            finally:
                _report(arguments, roster, results, errors_file)
    except InvalidInput as error:
        return _stop(f"Nothing was sent.\n{error}", REFUSED)
    except (LinkingUnavailable, DatabaseNotReady, ApiRefused) as error:
        return _stop(f"{error}\n{AGAIN_HINT}" if results else str(error), REFUSED)
    except KeyboardInterrupt:
        return _stop(
            f"Interrupted with {len(results):,} keys done; the batch under way may be done too.\n{AGAIN_HINT}",
            INTERRUPTED,
        )
    return 1 if _failed(results) else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="program-linking",
        description="Link the external user keys of a program to LMS accounts.",
        epilog="Exit status: 0 where every key is linked, 1 where some are not, 2 where the command had to stop.",
    )
    add = parser.add_argument
    add("program_uuid", metavar="PROGRAM_UUID", type=partial(_uuid, "program_uuid"))
    add("items", metavar="KEY:USERNAME", nargs="*", help="external user key and LMS username, split at the last colon")
    add("--csv", metavar="FILE", help=f"read {','.join(COLUMNS)} from a CSV file, or from standard input (-)")
    add("--errors", metavar="FILE", help="write the lines that failed to a CSV file, to be mended and sent again")
    add("--curriculum", metavar="UUID", type=partial(_uuid, "curriculum_uuid"), help="only enrollments of a curriculum")
    add("--relink", action="store_true", help="take enrollments from the accounts that hold them")
    add("--ignore-case", action="store_true", help="match external user keys whatever their case")
    add("--dry-run", action="store_true", help=f"change nothing; each {MOST_KEYS:,} keys are judged by themselves")
    add("--url", type=_endpoint, help="link by the API at this URL, with AWS credentials, instead of in a database")
    arguments = parser.parse_intermixed_args(argv)
    if bool(arguments.items) == bool(arguments.csv):
        parser.error("give either KEY:USERNAME items or --csv FILE")
    if arguments.csv and arguments.errors and _same_file(arguments.csv, arguments.errors):
        parser.error("--errors would overwrite the file that --csv reads")
    return arguments


def _uuid(name: str, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"supplied {name} '{text}' is not a valid UUID") from error


def _endpoint(url: str) -> str:
    try:
        return endpoint(url)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _same_file(one: str, other: str) -> bool:
    with suppress(OSError):
        return os.path.samefile(one, other)  # noqa: PTH121 - names, as they were given
    return False


def _roster(arguments: argparse.Namespace) -> tuple[dict[str, str], str]:
    if arguments.csv:
        return read_csv(arguments.csv, ignore_case=arguments.ignore_case)
    return read_items(arguments.items, ignore_case=arguments.ignore_case), "utf-8"


@contextmanager
def _errors_file(name: str | None, encoding: str) -> Iterator[TextIO | None]:
    """The file for the lines that fail, opened before anything is sent: what failed must not get lost."""
    try:
        file = open(name, "w", encoding=encoding, newline="") if name else nullcontext()  # noqa: PTH123, SIM115
    except OSError as error:
        raise InvalidInput(f"{name} cannot be written: {error.strerror}") from error
    with file as opened:
        yield opened


@contextmanager
def _linker(arguments: argparse.Namespace) -> Iterator[LinkBatch]:
    """What links a batch and tells the failures: the API or a database."""
    options = {
        "curriculum_uuid": arguments.curriculum,
        "relink": arguments.relink,
        "dry_run": arguments.dry_run,
        "ignore_case": arguments.ignore_case,
    }
    if arguments.url:
        request = {"program_uuid": arguments.program_uuid, **{name: value for name, value in options.items() if value}}
        send = connect_to_api(arguments.url, _note)
        yield lambda batch: send({**request, "external_keys_to_usernames": batch})
    else:
        with _database() as connection:
            yield partial(_link_in_database, connection, arguments.program_uuid, options)


@contextmanager
def _database() -> Iterator[Connection]:
    with ExitStack() as opened:
        try:
            connection = opened.enter_context(connected())
        except LinkingUnavailable as error:
            raise LinkingUnavailable(f"{error}\n{DATABASE_HINT}") from error
        check_database(connection)
        yield connection


def _link_in_database(
    connection: Connection, program_uuid: str, options: dict[str, Any], batch: Mapping[str, str]
) -> dict[str, Result]:
    outcome = link_program_enrollments(connection, program_uuid, batch, **options)
    _note_oddities(outcome)
    return {key: (failure.code.value, failure.message) for key, failure in outcome.failures.items()}


def _note_oddities(outcome: Outcome) -> None:
    """Tell what the Lambda would log as errors beside keys that were linked all the same."""
    for kept in outcome.kept_enrollments:
        _note(f"Course enrollment {kept.course_enrollment_id} in {kept.course_key} was kept in its mode, {kept.mode}.")
    for role in outcome.unfulfilled_roles:
        _note(f"Course role assignment {role.assignment_id} stays pending: {role.refusal}")


def _link_in_batches(link_batch: LinkBatch, roster: Mapping[str, str], results: dict[str, Result]) -> None:
    """Link batch after batch, in halves of what turns out to be too large; `results` tells what is done so far."""
    size = min(MOST_KEYS, len(roster))
    with _progress(len(roster)) as show:
        while batch := dict(islice(roster.items(), len(results), len(results) + size)):
            try:
                failures = link_batch(batch)
            except TooLarge:
                if len(batch) == 1:
                    raise
                size = len(batch) // 2
            else:
                results |= {key: failures.get(key, (LINKED, "")) for key in batch}
                show(len(results))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, where there is more than one batch."""
    shown = total > MOST_KEYS and sys.stderr.isatty()

    def show(done: int) -> None:
        if shown:
            sys.stderr.write(f"\r[{'#' * (BAR_WIDTH * done // total):<{BAR_WIDTH}}] {done:,} of {total:,} keys")
            sys.stderr.flush()

    show(0)
    try:
        yield show
    finally:
        sys.stderr.write("\n" if shown else "")


def _report(
    arguments: argparse.Namespace, roster: Mapping[str, str], results: Mapping[str, Result], errors_file: TextIO | None
) -> None:
    """Tell what became of the keys that are done: a table of the failed ones, or of all if they are few, and a sum."""
    failed = _failed(results)
    if errors_file:
        write_failed(errors_file, roster, failed)
    told = results if len(results) <= MOST_ROWS else failed
    words = {LINKED: "to link"} if arguments.dry_run else {}
    rows = [(key, roster[key], words.get(outcome, outcome), message) for key, (outcome, message) in told.items()]
    table = _table([(*COLUMNS, "outcome", "message"), *rows] if rows else [])
    advice = [f"Mend what failed and send it again: --csv {arguments.errors}\n"] if failed and errors_file else []
    _tell([*table, _summary(results, len(roster), dry_run=arguments.dry_run), *advice])


def _tell(lines: Iterable[str]) -> None:
    """Write to standard output; where its reader has seen enough (`| head`), the exit status tells the rest."""
    try:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(results: Mapping[str, Result]) -> dict[str, Result]:
    return {key: result for key, result in results.items() if result[0] not in {LINKED, Code.ALREADY_LINKED}}


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    shown = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"


def _printable(text: str) -> str:
    """A text from a file or a database, without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _summary(results: Mapping[str, Result], total: int, *, dry_run: bool) -> str:
    codes = Counter(outcome for outcome, _ in results.values())
    linked, already = codes.pop(LINKED, 0), codes.pop(Code.ALREADY_LINKED, 0)
    opening, verb = ("Dry run, nothing was changed. ", "to link") if dry_run else ("", "linked")
    by_code = f" ({', '.join(f'{count:,} {code}' for code, count in codes.most_common())})" if codes else ""
    return (
        f"{opening}{len(results):,} of {total:,} keys: {linked:,} {verb}, {already:,} linked already,"
        f" {codes.total():,} failed{by_code}.\n"
    )


def _note(text: str) -> None:
    """Tell something on standard error; on a terminal, over the bar."""
    sys.stderr.write(f"{'\r\033[K' if sys.stderr.isatty() else ''}{text}\n")


def _stop(reason: str, status: int) -> int:
    sys.stderr.write(f"{reason}\n")
    return status


def _show_whatever_comes() -> None:
    """Spell out what the terminal's encoding lacks: a key that cannot be shown must not hide what was done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
