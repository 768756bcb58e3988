"""Standard output and standard error, which may be closed, full, or unable to show what is written."""

import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

from program_linking.stopped import Stopped


def make_streams_safe() -> None:
    """Spell out what a stream's encoding lacks: a key that cannot be shown must not hide what was done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(lines: Iterable[str]) -> None:
    """Write to standard output; raise `Stopped` if it takes nothing.

    If its reader has seen enough (`| head`), that is no failure.
    """
    if sys.stdout is None:
        raise Stopped("Standard output is closed.")
    try:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        raise Stopped(f"Standard output cannot be written: {error.strerror}.") from error


def say(text: str) -> None:
    """Write a line to standard error, if that can be."""
    with suppress(OSError, AttributeError):  # an AttributeError if it is closed: then it is None
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def end_streams() -> None:
    """Flush both, so that the interpreter does not meet at its end what cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let what the stream still has, and what is written to it from now on, go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        stream.flush()
