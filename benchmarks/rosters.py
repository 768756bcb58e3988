"""`make bench-rosters`: rosters of several sizes through the deployed stack on a local AWS.

Engine, functions and database share this machine: what is to be read off are ratios, memory and numbers of requests.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.roster import Roster, add_courses, add_roster
from local.lms import Lms
from local.server import failing_in_a_sentence, forget_surroundings
from local.stack import Service, build, deployed_service

SIZES = [10_000, 100_000]
COMPARED_SIZE = 20_000
CONCURRENCY = 4
POLL_SECONDS = 0.5
SINGLE_REQUESTS = 10
ENDED = {"finished", "held", "refused", "stopped", "failed"}
# us-east-1, arm64, 2026. A started execution of a map is a transition of the parent; an express one costs besides.
DOLLARS_PER_REQUEST = 0.025 / 1_000 + 1.0 / 1e6 + 0.005 / 1_000
DOLLARS_PER_GB_SECOND = 0.0000133334
LINK_GB, ROSTER_GB = 1.0, 1.7
ROSTER_SECONDS = 0.05  # asking and keeping, for each request

console = Console(width=220)


@dataclass(frozen=True)
class Run:
    """What a roster took: seconds, requests, and how long single requests to the API took before it and beside it."""

    keys: int
    seconds: float
    requests: int
    alone: list[float]
    beside: list[float]
    roster_id: str

    @property
    def dollars(self) -> float:
        """About what it would cost on AWS, if its requests took there what they took here."""
        lambda_seconds = self.seconds * CONCURRENCY * LINK_GB + self.requests * ROSTER_SECONDS * ROSTER_GB
        return self.requests * DOLLARS_PER_REQUEST + lambda_seconds * DOLLARS_PER_GB_SECOND


def main() -> None:
    """Deploy the stack, and run rosters of the sizes that the command line names."""
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    with failing_in_a_sentence(), tempfile.TemporaryDirectory() as folder:
        forget_surroundings()
        with deployed_service(build(Path(folder))) as service, service.lms() as lms:
            add_courses(lms)
            _run(service, lms, 1_000)  # wakes the functions
            _show_sizes(service, [_run(service, lms, size) for size in sizes])
            _show_concurrency(service, lms)


def _show_sizes(service: Service, runs: list[Run]) -> None:
    table = Table(
        *("lines", "seconds", "keys/s", "x time", "x lines", "requests", "about USD"),
        *("check: s", "peak MB", "collect: s", "peak MB"),
        *("one key alone: median ms", "beside", "x alone", "max ms beside", "under 1 s"),
        title=f"rosters, {CONCURRENCY} requests at once",
    )
    first = runs[0]
    for run in runs:
        checked, collected = (_step(service, run.roster_id, step) for step in ("check", "collect"))
        table.add_row(
            f"{run.keys:,}",
            f"{run.seconds:.1f}",
            f"{run.keys / run.seconds:,.0f}",
            f"{run.seconds / first.seconds:.1f}",
            f"{run.keys / first.keys:.1f}",
            f"{run.requests:,}",
            f"{run.dollars:.3f}",
            *checked,
            *collected,
            *_single_requests(run),
        )
    console.print(table)


def _single_requests(run: Run) -> tuple[str, ...]:
    """How long a request for one key took beside the roster, and how long it had taken without it."""
    alone, beside = statistics.median(run.alone), statistics.median(run.beside)
    in_time = sum(seconds < 1 for seconds in run.beside) / len(run.beside)
    times = (f"{alone * 1000:.0f}", f"{beside * 1000:.0f}", f"{beside / alone:.1f}", f"{max(run.beside) * 1000:.0f}")
    return *times, f"{in_time:.0%}"


def _show_concurrency(service: Service, lms: Lms) -> None:
    seconds = {}
    for concurrency in (1, CONCURRENCY):
        service.deploy(RosterConcurrency=str(concurrency))
        _run(service, lms, 1_000)
        seconds[concurrency] = _run(service, lms, COMPARED_SIZE).seconds
    table = Table("at once", "seconds", "x faster", title=f"{COMPARED_SIZE:,} lines on {os.cpu_count()} processors")
    for concurrency, taken in seconds.items():
        table.add_row(str(concurrency), f"{taken:.1f}", f"{seconds[1] / taken:.2f}")
    console.print(table)


def _run(service: Service, lms: Lms, size: int) -> Run:
    """Drop a roster of which all keys wait, and follow it to its end."""
    roster, single = add_roster(lms, size), add_roster(lms, 1)
    lms.run("ANALYZE")
    alone = [_single_request(service, single) for _ in range(SINGLE_REQUESTS)]
    started = time.perf_counter()
    service.aws.client("s3").put_object(
        Bucket=service.outputs["RosterBucketName"], Key=f"rosters/{roster.program_uuid}/bench.csv", Body=_file(roster)
    )
    beside: list[float] = []
    while (ended := _newest(service, roster.program_uuid)) is None or ended["state"] not in ENDED or not beside:
        beside.append(_single_request(service, single))
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - started
    if (ended["state"], ended["linked"]) != ("finished", size):
        raise RuntimeError(f"Not all keys were linked: {ended}")
    return Run(size, seconds, _requests(service, ended["roster_id"]), alone, beside, ended["roster_id"])


def _file(roster: Roster) -> bytes:
    return "".join(f"{key},{username}\n" for key, username in roster.external_keys_to_usernames.items()).encode()


def _newest(service: Service, program_uuid: str) -> dict[str, Any] | None:
    rosters = service.send("GET", f"/rosters?program_uuid={program_uuid}").json()["results"]
    return rosters[0] if rosters else None


def _single_request(service: Service, single: Roster) -> float:
    started = time.perf_counter()
    answer = service.send(
        "POST",
        "/links",
        {
            "program_uuid": single.program_uuid,
            "external_keys_to_usernames": single.external_keys_to_usernames,
            "dry_run": True,
        },
    )
    if not answer.is_success:
        raise RuntimeError(f"The API answered {answer.status_code}: {answer.text}")
    return time.perf_counter() - started


def _requests(service: Service, roster_id: str) -> int:
    pages = service.aws.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=service.outputs["RosterBucketName"], Prefix=f"runs/{roster_id}/link/")
    return sum(page["KeyCount"] for page in listed)


def _step(service: Service, roster_id: str, step: str) -> tuple[str, str]:
    """Do a step of a roster once more, in a process of its own; its seconds, and its peak memory in MB."""
    environment = {"ROSTER_BUCKET": service.outputs["RosterBucketName"], "ROSTER_CONCURRENCY": "4"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.roster_step", step, roster_id],
        env=os.environ | service.aws.environment | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, megabytes = done.stdout.split()
    return seconds, megabytes


if __name__ == "__main__":
    main()
