"""The answers that were kept. Each has its counts in its name, so that to count them all is to list them."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lambda_runtime.rosters import Counts
from roster_function import bucket, enrollments, links
from roster_function.kinds import Kind
from roster_function.record import Phase, Record


def keep(roster_id: str, kind: Kind, phase: Phase, batch: int, answer: Mapping[str, Any]) -> None:
    """Keep the answer to a batch."""
    bucket.write(_prefix(roster_id, phase) + _name(batch, kind, answer), json.dumps(answer).encode())


def kept(roster_id: str, phase: Phase) -> dict[int, str]:
    """The names of what was kept, by the numbers of the batches.

    A batch that was sent twice may have two answers; what counts is the one that sorts last: it did the most.
    """
    return {int(name.partition(".")[0]): name for name in bucket.names(_prefix(roster_id, phase))}


def count(names: Mapping[int, str]) -> Counts:
    """How many keys came to what, by the names of what was kept."""
    codes: Counter[str] = Counter()
    for name in names.values():
        for part in name.split(".")[1:-1]:
            code, _, number = part.rpartition("-")
            codes[code] += int(number)
    done = codes.total()
    linked, already, written = (
        codes.pop(outcome, 0) for outcome in (links.DONE, links.ALREADY_LINKED, enrollments.DONE)
    )
    failed = dict(codes.most_common())
    return Counts(done=done, linked=linked, already_linked=already, written=written, failed=failed)


def failures(record: Record, names: Mapping[int, str]) -> Iterator[tuple[str, str, str]]:
    """Each key that was not newly linked or written, with its code and message."""
    paths = [_prefix(record.roster_id, record.phase) + name for name in names.values()]
    with ThreadPoolExecutor(bucket.READERS) as pool:
        for data in pool.map(bucket.read, paths):
            for key, code, message in record.kind.failures(json.loads(data or b"{}")):
                yield key, sys.intern(code), message


def _prefix(roster_id: str, phase: Phase) -> str:
    return bucket.run(roster_id, f"{phase}/")


def _name(batch: int, kind: Kind, answer: Mapping[str, Any]) -> str:
    codes = dict(kind.count(answer))
    done = f"{kind.DONE}-{codes.pop(kind.DONE, 0):05}"
    return ".".join([f"{batch:06}", done, *(f"{code}-{number}" for code, number in sorted(codes.items())), "json"])
