"""What people read: tables, notes, and progress with its rate and the time that is left."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from program_linking.streams import say, write

# rich takes about a millisecond for each row.
MOST_RICH_ROWS = 500


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to standard output: folded to a terminal's width, or a line for each row if it goes elsewhere."""
    shown = [[printable(cell) for cell in row] for row in rows]
    if on_terminal(sys.stdout) and len(rows) <= MOST_RICH_ROWS:
        write([_rich_table(columns, shown)])
    else:
        write(_plain_table([columns, *shown]))


def printable(text: str) -> str:
    """A text from a file or a database, with all that is invisible or would move a terminal's cursor spelt out."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def note(text: str) -> None:
    """Report something on standard error; on a terminal, above the progress."""
    if on_terminal(sys.stderr):
        _terminal().print(Text(printable(text)), soft_wrap=True)
    else:
        say(printable(text))


@contextmanager
def progress(total: int | None, unit: str, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show progress on standard error if that is a terminal; the function that is handed out takes what is done.

    Nothing is shown unless `shown`. A total of None is not known yet.
    """
    if not (shown and on_terminal(sys.stderr)):
        yield lambda _: None
        return
    of_total = " of {task.total:,}" if total is not None else ""
    columns = BarColumn(), TextColumn("{task.completed:,}" + of_total + f" {unit}"), _Rate(unit), TimeRemainingColumn()
    with Progress(*columns, console=_terminal()) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done, refresh=True)


def on_terminal(stream: object) -> bool:
    """Whether a person looks at a stream, as far as one can know."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


class _Rate(ProgressColumn):
    """How many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} {self.unit}/s" if task.speed else "")


@cache
def _terminal() -> Console:
    """The console of standard error: one, so that notes stand above the progress."""
    return Console(stderr=True, highlight=False)


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _plain_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip() + "\n"
