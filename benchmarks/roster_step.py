"""A step of a roster in this process: `python -m benchmarks.roster_step check|collect ROSTER_ID`; prints s and MB."""

import resource
import sys
import time

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
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.1f} {megabytes:.0f}")  # noqa: T201 - for the process that asked


if __name__ == "__main__":
    main()
