"""The verbs of `program-linking`: each is a module of its own, and one line here."""

from importlib.metadata import version
from typing import Annotated

import typer
from typer import Exit, TyperException
from typer.main import get_command

from program_linking import enroll, grants, link, migrate, page, roster, show
from program_linking.streams import write

__all__ = ["Exit", "TyperException", "command", "explain"]

EXIT_STATUS = "Exit status: 0, all is as asked for; 1, some keys failed; 2, refused or stopped; 130, interrupted."

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, epilog=EXIT_STATUS)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - a callback of Typer's
    if asked:
        write([f"program-linking {version('program-linking')}\n"])
        raise Exit


@app.callback()
def program_linking(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Link the external user keys of Open edX programs to LMS accounts."""


app.command(epilog=link.EXAMPLE)(link.link)
app.command(epilog=enroll.EXAMPLE)(enroll.enroll)
app.command(epilog=show.EXAMPLE)(show.show)
app.add_typer(roster.app, name="roster", help="Hand in files of any size, which the deployed service links on its own.")
app.command(epilog=page.EXAMPLE)(page.page)
app.command(epilog=migrate.EXAMPLE)(migrate.migrate)
app.command(epilog=grants.EXAMPLE)(grants.grants)

command = get_command(app)


def explain(error: TyperException) -> str:
    """What is wrong with the arguments, and where to look; the help itself if there are none."""
    context = getattr(error, "ctx", None)
    if context is None or error.message == context.get_help():
        return error.message
    return f"{error.format_message()}\nTry '{context.command_path} --help'."
