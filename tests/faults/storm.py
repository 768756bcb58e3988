"""One process of the storm: `python -m tests.faults.storm SEED`, with PG* variables, batches in and answers out.

It says when it is ready, reads batches as JSON from its standard input, and links or enrolls them in an order of its
own. The last line that it writes holds the answers, each with the number of its batch.
"""

import json
import random
import sys

from functions.link.app import lambda_handler
from lambda_runtime.observability import logger
from local.invocation import invocation


def main() -> None:
    """Link or enroll all batches."""
    logger.setLevel("CRITICAL")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    batches = json.load(sys.stdin)
    order = list(range(len(batches)))
    random.Random(sys.argv[1]).shuffle(order)  # noqa: S311 - not a secret
    answers = []
    for number in order:
        try:
            answers.append([number, lambda_handler(batches[number], invocation())])
        except Exception as error:  # noqa: BLE001 - whatever reaches a caller
            answers.append([number, repr(error)])
    sys.stdout.write(f"{json.dumps(answers)}\n")


if __name__ == "__main__":
    main()
