"""One batch by the core that PYTHONPATH names: reads the program and the pairs as JSON, prints seconds."""

import json
import sys
import time

from program_enrollments import connect, link_program_enrollments


def main() -> None:
    """Link the batch on a connection that is open already."""
    program_uuid, pairs = json.load(sys.stdin)
    connection = connect()
    started = time.perf_counter()
    linked = link_program_enrollments(connection, program_uuid, pairs).linked
    sys.stdout.write(str(time.perf_counter() - started))
    connection.close()
    if linked != len(pairs):
        raise RuntimeError(f"{linked} of {len(pairs)} keys were linked")


if __name__ == "__main__":
    main()
