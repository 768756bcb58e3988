"""`program-linking roster …`: files of any size, which the deployed service links on its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from program_enrollments import InvalidFile
from program_linking import options
from program_linking.files import is_same_file, read_file
from program_linking.output import print_table
from program_linking.roster_end import saving, show_end
from program_linking.roster_kinds import KINDS, Name, foreign
from program_linking.roster_wait import wait_for_end
from program_linking.stopped import Stopped
from program_linking.streams import write

if TYPE_CHECKING:
    from program_linking.api import Api
    from program_linking.roster_api import Roster

NUMBERS = ["keys", "done", "linked", "linked already", "written", "failed"]
EXAMPLE = "Example: program-linking roster submit 5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10 nightly.csv --wait --url URL"

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, epilog=EXAMPLE)


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is not the id of a roster") from error


RosterId = Annotated[str, typer.Argument(metavar="ROSTER_ID", callback=_id, show_default=False)]
File = Annotated[str, typer.Argument(metavar="FILE", help="A CSV file, - for standard input.", show_default=False)]
KindOption = Annotated[Name, typer.Option("--kind", metavar="links|enrollments", help="What the lines are.")]
HoldAbove = Annotated[
    float | None,
    typer.Option(metavar="PERCENT", min=0, max=100, help="Change nothing if more of the keys than this would fail."),
]
Relink = Annotated[bool, typer.Option("--relink", help="Take enrollments from the accounts that hold them.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended, and show the results.")]
Errors = Annotated[str | None, typer.Option(metavar="FILE", help="Write the lines that failed here.")]
Results = Annotated[str | None, typer.Option(metavar="FILE", help="Write all lines here, each with its outcome.")]
Most = Annotated[int, typer.Option(metavar="NUMBER", min=1, help="Show so many, the newest ones.")]


@app.command()
def submit(  # noqa: PLR0913 - the options of the verb
    program_uuid: options.Program,
    file: File,
    *,
    hold_above: HoldAbove = None,
    curriculum: options.Curriculum = None,
    relink: Relink = False,
    ignore_case: options.IgnoreCase = False,
    kind: KindOption = "links",
    course: options.Course = None,
    create: options.Create = False,
    update: options.Update = False,
    idp: options.Idp = None,
    dry_run: options.DryRun = False,
    wait: Wait = False,
    errors: Errors = None,
    results: Results = None,
    url: options.Url = None,
    token: options.Token = None,
) -> int:
    """Hand a file in; the service works it off whether this command waits for it or not.

    The file has external_user_key,lms_username as for link or, with --kind enrollments, what enroll takes.
    """
    _refuse_overwriting(file, errors, results)
    choices = {"hold_above_percent": hold_above, "curriculum_uuid": curriculum, "course_key": course, "idp": idp}
    switches = {"relink": relink, "ignore_case": ignore_case, "create": create, "update": update, "dry_run": dry_run}
    request = {
        "program_uuid": program_uuid,
        "kind": kind,
        **{name: value for name, value in choices.items() if value is not None},
        **{name: True for name, value in switches.items() if value},
    }
    data = _checked(file, kind, request)
    with saving(errors, results) as save, _api(url, token) as api:
        from program_linking.roster_api import submit  # noqa: PLC0415 - see _api

        roster = submit(api, request, PurePath(file).name, data)
        write([f"Roster {roster.roster_id} was handed in.\n"])
        if wait or errors or results:
            return show_end(_waited(api, roster.roster_id), save, api.url)
    write([f"To follow it: {_follow(roster.roster_id, api.url)}\n"])
    return 0


@app.command()
def status(roster_id: RosterId, *, url: options.Url = None, token: options.Token = None) -> int:
    """Show a roster as it is now."""
    with _api(url, token) as api:
        _show(_ask(api, roster_id))
    return 0


@app.command()
def wait(
    roster_id: RosterId,
    *,
    errors: Errors = None,
    results: Results = None,
    url: options.Url = None,
    token: options.Token = None,
) -> int:
    """Wait until a roster has ended, with progress, and show its results."""
    _refuse_overwriting(None, errors, results)
    with saving(errors, results) as save, _api(url, token) as api:
        return show_end(_waited(api, roster_id), save, api.url)


@app.command("list")
def list_rosters(
    program_uuid: options.Program, *, most: Most = 20, url: options.Url = None, token: options.Token = None
) -> int:
    """List the rosters of a program, the newest one first."""
    with _api(url, token) as api:
        from program_linking.roster_api import listed  # noqa: PLC0415 - see _api

        rosters = list(islice(listed(api, program_uuid), most))
    rows = [[each.roster_id, each.state, each.created, *map(str, _numbers(each))] for each in rosters]
    columns = ["roster_id", "state", "created", *NUMBERS]
    if rows:
        print_table(columns, rows)
    write([f"{len(rows):,} rosters.\n"])
    return 0


@app.command()
def stop(roster_id: RosterId, *, url: options.Url = None, token: options.Token = None) -> int:
    """Let no further request of a roster start: what is done stays done."""
    with _api(url, token) as api:
        _show(_ask(api, roster_id, "stop"))
    return 0


@app.command()
def resume(roster_id: RosterId, *, url: options.Url = None, token: options.Token = None) -> int:
    """Let a roster that was stopped or failed go on with what has no answer yet."""
    with _api(url, token) as api:
        _show(_ask(api, roster_id, "resume"))
        write([f"To follow it: {_follow(roster_id, api.url)}\n"])
    return 0


@app.command("results")
def show_results(
    roster_id: RosterId,
    *,
    errors: Errors = None,
    results: Results = None,
    url: options.Url = None,
    token: options.Token = None,
) -> int:
    """Show what became of a roster that has ended."""
    _refuse_overwriting(None, errors, results)
    with saving(errors, results) as save, _api(url, token) as api:
        roster = _ask(api, roster_id)
        if not roster.has_ended:
            raise Stopped(f"The roster is {roster.state}: it has no results yet.")
        return show_end(roster, save, api.url)


@contextmanager
def _api(url: str | None, token: str | None) -> Iterator["Api"]:
    if url is None:
        raise Stopped("Give --url: rosters are linked by the deployed service.")
    # With httpx and botocore, which take their time.
    from program_linking.api import connected_api  # noqa: PLC0415

    with connected_api(url, token) as api:
        yield api


def _ask(api: "Api", roster_id: str, verb: str | None = None) -> "Roster":
    from program_linking.roster_api import status  # noqa: PLC0415 - see _api

    return status(api, roster_id, verb)


def _waited(api: "Api", roster_id: str) -> "Roster":
    try:
        return wait_for_end(lambda: _ask(api, roster_id))
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"Interrupted; the roster goes on. {_follow(roster_id, api.url)} follows it."
        ) from error


def _follow(roster_id: str, url: str) -> str:
    return f"program-linking roster wait {roster_id} --url {url}"


def _checked(file: str, kind: Name, request: Mapping[str, Any]) -> bytes:
    """The bytes of a file that the service will not refuse for what is in it."""
    if unknown := foreign(kind, request):
        raise Stopped(f"--kind {kind} has no {' and no '.join(unknown)}.")
    data = read_file(file)
    try:
        KINDS[kind].check(data, request)
    except InvalidFile as error:
        raise Stopped(f"Nothing was sent.\n{error}") from error
    return data


def _refuse_overwriting(file: str | None, errors: str | None, results: str | None) -> None:
    if is_same_file(file, errors) or is_same_file(file, results):
        raise Stopped("--errors or --results would overwrite the file that is handed in.")
    if is_same_file(errors, results):
        raise Stopped("--errors and --results are the same file.")


def _numbers(roster: "Roster") -> list[object]:
    keys = "" if roster.keys is None else roster.keys
    done = [roster.done, roster.linked, roster.already_linked, roster.written]
    return [keys, *done, sum(roster.failed.values())]


def _show(roster: "Roster") -> None:
    rows = {
        "roster": roster.roster_id,
        "state": roster.state,
        "program": roster.program_uuid,
        "file": roster.file,
        "options": ", ".join(f"{name} {value}" for name, value in roster.options.items() if value is not False),
        "handed in by": roster.submitted_by,
        "created": roster.created,
        "ended": roster.ended or "",
        **dict(zip(NUMBERS, map(str, _numbers(roster)), strict=True)),
        "message": roster.message or "",
    }
    write(f"{name:15}{value}\n" for name, value in rows.items() if value)
    write(f"{'fault':15}{fault}\n" for fault in roster.faults)
