"""`program-linking show`: programs, the enrollments of one, or all about a learner; nothing is changed."""

import csv as csv_format
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from program_enrollments.limits import LONGEST_KEY, LONGEST_USERNAME, fault
from program_enrollments.reading.answers import Change, Course, Enrollment, Learner, ListedEnrollment, Program
from program_linking import options
from program_linking.output import print_table, printable
from program_linking.readers import Reader, reader
from program_linking.stopped import Stopped
from program_linking.streams import write

EXAMPLE = "Example: program-linking show --key student-001"
COLUMNS = list(ListedEnrollment.__annotations__)

ProgramUuid = Annotated[
    str | None,
    typer.Argument(
        metavar="[PROGRAM_UUID]", callback=lambda text: options.is_uuid("program_uuid", text), show_default=False
    ),
]
Waiting = Annotated[bool, typer.Option("--waiting", help="Only enrollments that wait for an account.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Write the enrollments as CSV.")]
Key = Annotated[str | None, typer.Option(metavar="KEY", help="All about the learner with this external user key.")]
Username = Annotated[str | None, typer.Option(metavar="NAME", help="All about the learner with this LMS account.")]
OfProgram = Annotated[
    str | None,
    typer.Option(
        metavar="UUID",
        callback=lambda text: options.is_uuid("program_uuid", text),
        help="The learner in this program only.",
    ),
]


def show(  # noqa: PLR0913 - the options of the verb
    program_uuid: ProgramUuid = None,
    *,
    waiting: Waiting = False,
    csv: AsCsv = False,
    key: Key = None,
    username: Username = None,
    program: OfProgram = None,
    url: options.Url = None,
    token: options.Token = None,
) -> int:
    """Show the enrollments of a program, or all about a learner; without either, all programs with their numbers."""
    learner = _learner_question(key, username, program)
    if learner and (program_uuid or waiting or csv):
        raise Stopped("Show either a program or a learner; --program says in which program a learner is looked for.")
    if program and not learner:
        raise Stopped("--program is for a learner: give --key or --username too.")
    if not (program_uuid or learner) and (waiting or csv):
        raise Stopped("--waiting and --csv are for the enrollments of a program: name it.")
    with reader(url, token) as read:
        if learner:
            _show_learner(read.learner(learner))
        elif program_uuid:
            _show_enrollments(read, program_uuid, waiting=waiting, as_csv=csv)
        else:
            _show_programs(read.programs())
    return 0


def _learner_question(key: str | None, username: str | None, program: str | None) -> dict[str, str]:
    """Who is asked for, in the API's words; nothing if nobody is."""
    if key is not None and username is not None:
        raise Stopped("Give either --key or --username.")
    question = {}
    for option, name, value, longest in (
        ("--key", "external_user_key", key, LONGEST_KEY),
        ("--username", "username", username, LONGEST_USERNAME),
    ):
        if value is not None:
            if what := fault(value, longest):
                raise Stopped(f"{option} {what}.")
            question[name] = value
    return {**question, **({"program_uuid": program} if program and question else {})}


def _show_programs(programs: Sequence[Program]) -> None:
    columns = list(Program.__annotations__)
    print_table(columns, [[str(value) for value in program.values()] for program in programs])


def _show_enrollments(read: Reader, program_uuid: str, *, waiting: bool, as_csv: bool) -> None:
    pages = read.pages(program_uuid, {"waiting": True} if waiting else {})
    if as_csv:
        write(_csv(pages))
        return
    enrollments = [enrollment for page in pages for enrollment in page]
    print_table(COLUMNS, [[_cell(enrollment[column]) for column in COLUMNS] for enrollment in map(dict, enrollments)])
    waits = sum(not enrollment["account_exists"] for enrollment in enrollments)
    write([f"{len(enrollments):,} enrollments: {len(enrollments) - waits:,} linked, {waits:,} waiting.\n"])


def _csv(pages: Iterable[Sequence[ListedEnrollment]]) -> Iterator[str]:
    """The lines of a CSV file, page by page."""
    text = io.StringIO(newline="")
    rows = csv_format.writer(text)
    rows.writerow(COLUMNS)
    for page in pages:
        rows.writerows([_cell(row[column]) for column in COLUMNS] for row in map(dict, page))
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _cell(value: object) -> str:
    """A value as the API's CSV has it."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _show_learner(learner: Learner) -> None:
    if account := learner["account"]:
        _say(f"Account {_account(account)}, program enrollments: {len(learner['enrollments'])}")
    for number, enrollment in enumerate(learner["enrollments"]):
        _say(*[""] if number or account else [])
        _show_enrollment(enrollment)
    for finding in learner["findings"]:
        _say("", f"{finding['code']}: {finding['message']}", finding["advice"])
    if not learner["findings"]:
        _say("", "Nothing is amiss, and nothing waits.")


def _show_enrollment(enrollment: Enrollment) -> None:
    holder = enrollment["holder"]
    _say(
        f"Key {enrollment['external_user_key'] or '(none)'}: {enrollment['status']},"
        f" {f'held by {_account(holder)}' if holder else 'waiting'}",
        f"Program {enrollment['program_uuid']}, curriculum {enrollment['curriculum_uuid']}",
    )
    if courses := enrollment["courses"]:
        columns = ("course_key", "status", "course enrollment", "pending roles")
        print_table(columns, [_course_row(course) for course in courses])
    if changes := list(_changes(enrollment)):
        print_table(("when (UTC)", "of", "what changed"), changes)


def _course_row(course: Course) -> tuple[str, str, str, str]:
    entered = course["course_enrollment"]
    state = f"{entered['mode']}, {'active' if entered['is_active'] else 'inactive'}" if entered else "waits"
    unknown = "" if course["course_exists"] else " (the LMS does not know this course)"
    return course["course_key"] + unknown, course["status"], state, ", ".join(course["pending_roles"])


def _changes(enrollment: Enrollment) -> Iterator[tuple[str, str, str]]:
    """All changes of an enrollment and of what belongs to it, newest first."""
    changes = [(change, "program enrollment") for change in enrollment["history"]]
    for course in enrollment["courses"]:
        changes += [(change, f"{course['course_key']} in the program") for change in course["history"]]
        if entered := course["course_enrollment"]:
            changes += [(change, course["course_key"]) for change in entered["history"]]
    for change, of in sorted(changes, key=lambda each: each[0]["when"], reverse=True):
        yield change["when"][:19].replace("T", " "), of, _in_words(change)


def _in_words(change: Change) -> str:
    differences: Mapping[str, Any] = change["changes"]
    words = [
        f"{field}: {_cell(values['before']) or '(none)'} -> {_cell(values['after']) or '(none)'}"
        if "before" in values
        else f"{field}: {_cell(values['after']) or '(none)'}"
        for field, values in differences.items()
    ]
    by = f" by {change['who']}" if change["who"] else ""
    return f"{change['what']}{by}; {'; '.join(words)}" if words else f"{change['what']}{by}"


def _account(account: Mapping[str, Any]) -> str:
    return f"{account['username']}{'' if account['is_active'] else ' (not active)'}"


def _say(*lines: str) -> None:
    write(f"{printable(line)}\n" for line in lines)
