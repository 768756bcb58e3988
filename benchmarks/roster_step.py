"""A step of a roster in this process: `python -m benchmarks.roster_step check|collect ROSTER_ID`; prints s and MB."""

import sys
import time
from pathlib import Path

from roster_function import bucket, plan
from roster_function.collect import collect


def main() -> None:
    """Check and cut a roster, or collect its results."""
    step, roster_id = sys.argv[1:]
    started = time.perf_counter()
    if step == "check":
        plan.write_requests(bucket.known(roster_id))
    else:
        collect(roster_id)
    seconds = time.perf_counter() - started
    print(f"{seconds:.1f} {peak_megabytes():.0f}")  # noqa: T201 - for the process that asked


def peak_megabytes() -> float:
    """The most that this process had; `getrusage` would count the process that started it, too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main()
