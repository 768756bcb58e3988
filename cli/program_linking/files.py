"""Files that people name: read whole, or written beside their place and put there at once."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from program_enrollments.limits import MOST_BYTES
from program_linking.stopped import Stopped

STANDARD_INPUT = "-"

type Save = Callable[[Callable[[TextIO], None]], None]


def read_file(name: str) -> bytes:
    """Read a file, or standard input if its name is `-`; raise `Stopped` if that cannot be, or if it is too large."""
    try:
        if name == STANDARD_INPUT:
            data = sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b""
        else:
            with Path(name).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Stopped(f"{name} cannot be read: {error.strerror}.") from error
    if len(data) > MOST_BYTES:
        raise Stopped(f"{name} is larger than {MOST_BYTES // 1_000_000} MB.")
    return data


def is_same_file(one: str | None, other: str | None) -> bool:
    """Whether two names, as they were given, lead to the same file."""
    if one is None or other is None:
        return False
    return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def report_file(name: str | None, encoding: str) -> Iterator[Save]:
    """Make sure that a file can be written, before anything is done that it is to report.

    The function that is handed out lets another one write the file, and puts it in its place when it is whole: until
    then, what was there before stays. What is no regular file (a pipe, a device) is written as it is. Without a name,
    nothing is written. Raise `Stopped` if the file cannot be written.
    """
    if name is None:
        yield lambda _: None
        return
    is_special = Path(name).exists() and not Path(name).is_file()
    target = Path(os.path.realpath(name))
    beside = Path(name) if is_special else target.with_name(f".{target.name}.{os.getpid()}")
    with ExitStack() as opened:
        with _sentence(name):
            file = opened.enter_context(beside.open("w", encoding=encoding, newline=""))
        if not is_special:
            opened.callback(beside.unlink, missing_ok=True)

        def save(write: Callable[[TextIO], None]) -> None:
            with _sentence(name):
                write(file)
                file.close()
                if not is_special:
                    _keep_mode(target, beside)
                    beside.replace(target)

        yield save


def _keep_mode(target: Path, beside: Path) -> None:
    """Let nobody else read what only its owner could read so far."""
    if target.exists():
        beside.chmod(target.stat().st_mode & 0o777)


@contextmanager
def _sentence(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Stopped(f"{name} cannot be written: {error.strerror}.") from error
