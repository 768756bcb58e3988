"""`program-linking enroll`: keys get their places in a program, or in a course of it, by the lines of a file."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from program_enrollments import (
    InvalidFile,
    NonExistentCourse,
    check_database,
    write_program_course_enrollments,
    write_program_enrollments,
)
from program_enrollments.enrolling.rows import CourseRow, ProgramRow, Verdict, Written
from program_enrollments.enrollment_files import read_enrollments
from program_enrollments.limits import MOST_KEYS
from program_enrollments.postgres.connect import connected
from program_enrollments.postgres.session import Connection
from program_linking import options
from program_linking.files import Save, is_same_file, read_file, report_file
from program_linking.output import note, print_table
from program_linking.results import MOST_ROWS, write_lines
from program_linking.stopped import NotThisApi, Stopped, TooLarge
from program_linking.streams import write

if TYPE_CHECKING:
    from program_linking.api import Api

EXAMPLE = "Example: program-linking enroll 5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10 --csv enrollments.csv --create"
ANSWERS = {HTTPStatus.OK, HTTPStatus.MULTI_STATUS, HTTPStatus.UNPROCESSABLE_ENTITY}
VERDICTS = frozenset(map(str, Verdict))

type Row = ProgramRow | CourseRow
# Writes rows, and gives the status or the verdict of each key.
type Enroll = Callable[[Sequence[Any]], Mapping[str, str]]

File = Annotated[
    str, typer.Option("--csv", metavar="FILE", help="Read student_key,status,… from this file, - for standard input.")
]
Errors = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write the lines that failed here, to be corrected and sent again.")
]


def enroll(  # noqa: PLR0913 - the options of the verb
    program_uuid: options.Program,
    *,
    csv: File,
    course: options.Course = None,
    create: options.Create = False,
    update: options.Update = False,
    curriculum: options.Curriculum = None,
    idp: options.Idp = None,
    errors: Errors = None,
    dry_run: options.DryRun = False,
    url: options.Url = None,
    token: options.Token = None,
) -> int:
    """Enroll external user keys in a program, or in a course of it, with --course.

    The file has student_key,status and perhaps curriculum_uuid and, for a course, course_staff. Without --create and
    --update, enrollments that are not there are made, and those that are there get the status. All lines are checked
    before any is sent. What is as asked for already stays so: a command that stopped can be run again as it is.
    """
    if is_same_file(csv, errors):
        raise Stopped("--errors would overwrite the file that --csv reads.")
    if course is not None and idp is not None:
        raise Stopped("--idp is for new enrollments in a program, not in a course.")
    way = {"create": create or not update, "update": update or not create}
    rows, encoding = _rows(csv, course, curriculum, create=way["create"])
    statuses: dict[str, str] = {}
    with (
        report_file(errors, encoding) as save_errors,
        _enroller(program_uuid, course, {**way, "idp": idp, "dry_run": dry_run}, url, token) as write_rows,
        _reported(rows, statuses, save_errors, dry_run=dry_run),
    ):
        _enroll_in_batches(write_rows, rows, statuses)
    return 1 if VERDICTS & set(statuses.values()) else 0


@contextmanager
def _reported(rows: Sequence[Row], statuses: Mapping[str, str], save_errors: Save, *, dry_run: bool) -> Iterator[None]:
    """Report at the end what is done, if anything: the table first, and the file whatever becomes of the table."""
    try:
        yield
    finally:
        with ExitStack() as parts:
            if statuses:
                parts.callback(save_errors, lambda file: write_lines(file, *_failed_lines(rows, statuses)))
                _print(rows, statuses, dry_run=dry_run)


def _enroll_in_batches(write_rows: Enroll, rows: Sequence[Row], statuses: dict[str, str]) -> None:
    """Write batch after batch, in halves of what turns out to be too large; no key is in two of them."""
    size = MOST_KEYS
    while batch := rows[len(statuses) : len(statuses) + size]:
        try:
            statuses |= write_rows(batch)
        except TooLarge:
            if len(batch) == 1:
                raise
            size = len(batch) // 2


def _rows(csv: str, course: str | None, curriculum: str | None, *, create: bool) -> tuple[Sequence[Row], str]:
    try:
        file = read_enrollments(read_file(csv), in_course=course is not None, curriculum_uuid=curriculum, create=create)
    except InvalidFile as error:
        raise Stopped(f"Nothing was sent.\n{error}") from error
    return file.rows, file.layout.encoding


@contextmanager
def _enroller(
    program_uuid: str, course: str | None, choices: Mapping[str, Any], url: str | None, token: str | None
) -> Iterator[Enroll]:
    """What writes rows: the API at a URL, else the database that the PG* variables name."""
    if url:
        from program_linking.api import connected_api  # noqa: PLC0415 - with httpx and botocore, which take their time

        with connected_api(url, token) as api:
            yield partial(_enroll_by_api, api, program_uuid, course, choices)
    else:
        with connected() as connection:
            check_database(connection)
            yield partial(_enroll_in_database, connection, program_uuid, course, choices)


def _enroll_by_api(
    api: "Api", program_uuid: str, course: str | None, choices: Mapping[str, Any], rows: Sequence[Row]
) -> Mapping[str, str]:
    method = {(True, True): "PUT", (True, False): "POST", (False, True): "PATCH"}[choices["create"], choices["update"]]
    below = "" if course is None else f"/courses/{quote(course, safe='')}"
    query = {"idp": choices["idp"] or "", "dry_run": "true" if choices["dry_run"] else ""}
    body = [{name: value for name, value in row._asdict().items() if value is not None} for row in rows]
    statuses = api.ask(
        method,
        f"programs/{program_uuid}{below}/enrollments",
        query={name: value for name, value in query.items() if value},
        body=body,
        answers=ANSWERS,
    )
    if statuses.keys() != {row.student_key for row in rows} or not all(isinstance(it, str) for it in statuses.values()):
        raise NotThisApi
    return statuses


def _enroll_in_database(
    connection: Connection, program_uuid: str, course: str | None, choices: Mapping[str, Any], rows: Sequence[Any]
) -> Mapping[str, str]:
    if course is None:
        written = write_program_enrollments(connection, program_uuid, rows, **choices)
    else:
        options_of_course = {name: value for name, value in choices.items() if name != "idp"}
        try:
            written = write_program_course_enrollments(connection, program_uuid, course, rows, **options_of_course)
        except NonExistentCourse as error:
            raise Stopped(f"The LMS does not know the course {course}: nothing was written.") from error
    _note_oddities(written)
    return written.statuses


def _note_oddities(written: Written) -> None:
    """Report what the Lambda would log as errors."""
    for kept in written.kept_enrollments:
        note(f"Course enrollment {kept.course_enrollment_id} in {kept.course_key} was kept in its mode, {kept.mode}.")
    for other in written.active_elsewhere:
        note(f"A key is active in the course through program {other.program_uuid}.")
    for refusal in written.refusals:
        note(f"The server refused a row: {refusal}")


def _print(rows: Sequence[Row], statuses: Mapping[str, str], *, dry_run: bool) -> None:
    failed = {key: status for key, status in statuses.items() if status in VERDICTS}
    shown = statuses if len(statuses) <= MOST_ROWS else failed
    asked = {row.student_key: row.status for row in rows}
    if shown:
        print_table(["student_key", "asked for", "outcome"], [(key, asked[key], str(shown[key])) for key in shown])
    by_code = ", ".join(f"{count:,} {code}" for code, count in Counter(map(str, failed.values())).most_common())
    opening = "Dry run, nothing was changed. " if dry_run else ""
    done = f"{len(statuses) - len(failed):,} as asked for, {len(failed):,} failed{f' ({by_code})' if by_code else ''}"
    write([f"{opening}{len(statuses):,} of {len(rows):,} keys: {done}.\n"])


def _failed_lines(rows: Sequence[Row], statuses: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """The lines that failed, as a file that can be corrected and sent again."""
    columns = list(type(rows[0])._fields)
    failed = [row for row in rows if statuses.get(row.student_key) in VERDICTS]
    return [*columns, "code"], [[*map(_cell, row), str(statuses[row.student_key])] for row in failed]


def _cell(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
