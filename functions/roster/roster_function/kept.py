"""The answers that were kept. Each has its counts in its name, so that to count them all is to list them."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from roster_function import bucket
from roster_function.record import Counts, Phase

LINKED, ALREADY_LINKED = "linked", "already-linked"


def keep(roster_id: str, phase: Phase, batch: int, answer: Mapping[str, Any]) -> None:
    """Keep the answer to a batch."""
    bucket.write(_prefix(roster_id, phase) + _name(batch, answer), json.dumps(answer).encode())


def kept(roster_id: str, phase: Phase) -> dict[int, str]:
    """The names of what was kept, by the numbers of the batches.

    A batch that was sent twice may have two answers; what counts is the one that sorts last: it linked the most.
    """
    return {int(name.partition(".")[0]): name for name in bucket.names(_prefix(roster_id, phase))}


def count(names: Mapping[int, str]) -> Counts:
    """How many keys came to what, by the names of what was kept."""
    codes: Counter[str] = Counter()
    for name in names.values():
        for part in name.split(".")[1:-1]:
            code, _, number = part.rpartition("-")
            codes[code] += int(number)
    done, linked, already = codes.total(), codes.pop(LINKED, 0), codes.pop(ALREADY_LINKED, 0)
    return Counts(done=done, linked=linked, already_linked=already, failed=dict(codes.most_common()))


def failures(roster_id: str, phase: Phase, names: Mapping[int, str]) -> Iterator[tuple[str, str, str]]:
    """Each key that was not newly linked, with its code and message."""
    paths = [_prefix(roster_id, phase) + name for name in names.values()]
    with ThreadPoolExecutor(bucket.READERS) as pool:
        for data in pool.map(bucket.read, paths):
            answer = json.loads(data or b"{}")
            for key, message in answer["errors"].items():
                yield key, sys.intern(answer["error_codes"][key]), message


def _prefix(roster_id: str, phase: Phase) -> str:
    return bucket.run(roster_id, f"{phase}/")


def _name(batch: int, answer: Mapping[str, Any]) -> str:
    codes = Counter(answer["error_codes"].values())
    counts = [f"{LINKED}-{answer['linked']:05}", *(f"{code}-{number}" for code, number in sorted(codes.items()))]
    return ".".join([f"{batch:06}", *counts, "json"])
