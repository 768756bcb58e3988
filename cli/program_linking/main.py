"""Where `program-linking` starts and ends: streams and signals, and an exit status for whatever happens.

0: all is as asked for. 1: some keys failed, and each was reported. 2: refused or stopped, with one sentence on standard
error. 130: interrupted.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from program_linking.streams import end_streams, make_streams_safe, say

REFUSED, INTERRUPTED = 2, 130
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COMPLETION = "_PROGRAM_LINKING_COMPLETE"
# A terminal's size as the environment has it is obeyed between these.
NARROWEST, WIDEST = 20, 1_000


def main() -> None:
    """Run the command as a process of its own."""
    for sign in INTERRUPTS:
        if signal.getsignal(sign) is not signal.SIG_IGN:  # nohup's, and a shell's for what it puts in the background
            signal.signal(sign, _interrupt)
    status = run(sys.argv[1:])
    end_streams()
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; return the exit status, whatever happens."""
    make_streams_safe()
    _forget_impossible_sizes()
    try:
        return _run_verb(arguments)
    except KeyboardInterrupt as error:
        say(str(error) or "Interrupted.")
        return INTERRUPTED
    except MemoryError:
        say("There is not enough memory.")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no traceback
        say(f"{type(error).__name__}: {error}".rstrip(": ") + ". Nobody foresaw this: please report it.")
    return REFUSED


def _run_verb(arguments: Sequence[str]) -> int:
    # Imported here, so that what goes wrong in an import ends like everything else.
    from program_enrollments import ProgramEnrollmentsError  # noqa: PLC0415
    from program_linking.stopped import Stopped  # noqa: PLC0415
    from program_linking.verbs import Exit, TyperException, command, explain  # noqa: PLC0415

    try:
        if COMPLETION in os.environ:
            command.main(list(arguments), prog_name="program-linking")
        with command.make_context("program-linking", list(arguments)) as context:
            return int(command.invoke(context) or 0)
    except Exit as end:
        return end.exit_code
    except TyperException as error:
        say(explain(error))
    except (Stopped, ProgramEnrollmentsError) as error:
        say(str(error))
    return REFUSED


def _interrupt(sign: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    """Stop in good order; a second signal ends the process at once."""
    for each in INTERRUPTS:
        signal.signal(each, lambda *_: os._exit(INTERRUPTED))
    raise KeyboardInterrupt


def _forget_impossible_sizes() -> None:
    """Leave the size to the terminal if these variables have none that rich and Typer could work with."""
    for variable in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        size = os.environ.get(variable, "")
        if not (size.isascii() and size.isdecimal() and NARROWEST <= int(size[:5]) <= WIDEST):
            os.environ.pop(variable, None)


if __name__ == "__main__":
    main()
