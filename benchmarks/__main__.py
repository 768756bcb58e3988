"""`make bench`: what linking costs. Each table comes from one run, side by side, and prints ratios."""

import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import processes
from benchmarks.bound import bound_script
from benchmarks.plain import link_plainly
from benchmarks.roster import Roster, add_courses, add_linked_roster, add_mixed_roster, add_roster, add_surroundings
from functions.link.app import lambda_handler
from lambda_runtime.connection import forget_connection
from local.invocation import invocation
from local.lms import Lms
from local.server import PREFIX, failing_in_a_sentence, forget_surroundings, spare_server
from program_enrollments import connect
from program_enrollments.linking import decisions
from program_enrollments.linking.batch import link_batch
from program_enrollments.linking.decisions import Batch, Plan, Reading
from program_enrollments.migrate import migrate
from program_enrollments.postgres.session import Session

EVENTS = Path(__file__).parent.parent / "events"
DELAY_SECONDS = 0.0005
SIZE = 1_000
PLAIN_SIZE = 200
ROUNDS = 5
COLD_STARTS = 9

console = Console(width=120)


@dataclass(frozen=True)
class Way:
    """A way to link rosters of some size."""

    name: str
    link: Callable[[Roster], object]
    size: int = SIZE
    add: Callable[[Lms, int], Roster] = add_roster


def main() -> None:
    """Run all benchmarks against an embedded PostgreSQL of their own or, with SERVER=own, an empty one."""
    with failing_in_a_sentence():
        forget_surroundings()
        benchmark()


def benchmark() -> None:
    """Run all benchmarks on that server."""
    with spare_server() as server:
        os.environ |= server
        with database(f"{PREFIX}bench") as lms:
            throughput(lms)
            size(lms)
            options(lms)
            concurrent_reader(lms)
            cold_start(lms)
        surroundings()


def throughput(lms: Lms) -> None:
    """Compare the service with the plain way and with the bound, on loopback and over a line with a delay."""
    ways = [
        Way("plain: a savepoint and a dozen statements a key", plainly, PLAIN_SIZE),
        Way("the service, made to take a savepoint for each key", with_each_key_alone, PLAIN_SIZE),
        Way("the service", directly),
        Way("bound: one SQL script without checks", as_one_script),
    ]
    for delay in (0.0, DELAY_SECONDS):
        with line(delay):
            seconds = typical_seconds(lms, ways)
            trip = round_trip()
        rates = {way.name: way.size / seconds[way.name] for way in ways}
        plain, *_, bound = rates.values()
        table = Table(
            "way", "keys/s", "x plain", "x the bound's time", title=f"clean keys; a round trip takes {trip:.2f} ms"
        )
        for name, keys in rates.items():
            table.add_row(name, f"{keys:,.0f}", f"{keys / plain:.1f}", f"{bound / keys:.2f}")
        console.print(table)


def size(lms: Lms) -> None:
    """Show time and memory of 10,000 keys beside those of 1,000: over HTTP, from body to response, 5 % failing."""
    over_http(add_mixed_roster(lms, 100))
    table = Table(
        "keys", "seconds", "x the time of 1,000", "memory grew by, MB", title="over HTTP, 5 % of the keys failing"
    )
    first = 0.0
    for keys in (SIZE, 10 * SIZE):
        roster = add_mixed_roster(lms, keys)
        lms.run("ANALYZE")
        before = peak_megabytes()
        seconds = timed(over_http, roster)
        first = first or seconds
        table.add_row(f"{keys:,}", f"{seconds:.2f}", f"{seconds / first:.1f}", f"{peak_megabytes() - before:.0f}")
    console.print(table)


def options(lms: Lms) -> None:
    """Compare a dry run, a relinking batch and one that ignores case with a plain batch."""
    ways = [
        Way("plain", directly),
        Way("dry run", partial(directly, dry_run=True)),
        Way("ignoring case", partial(directly, ignore_case=True)),
        Way("relinking every key", partial(directly, relink=True), add=add_linked_roster),
    ]
    seconds = typical_seconds(lms, ways)
    table = Table("batch of 1,000", "seconds", "x plain", title="options")
    for name, taken in seconds.items():
        table.add_row(name, f"{taken:.3f}", f"{taken / seconds['plain']:.2f}")
    console.print(table)


def concurrent_reader(lms: Lms) -> None:
    """Show how long a count takes another session, beside nothing, the service, and a savepoint for each key."""
    rosters = [add_roster(lms, SIZE) for _ in range(6)]
    medians = {
        "nothing": reader_milliseconds(lambda: time.sleep(1)),
        "the service": reader_milliseconds(lambda: list(map(directly, rosters[:5]))),
        "the service, made to take a savepoint for each key": reader_milliseconds(
            lambda: with_each_key_alone(rosters[5])
        ),
    }
    table = Table("beside it", "median ms", "x beside nothing", title="another session counts rows")
    for name, milliseconds in medians.items():
        table.add_row(name, f"{milliseconds:.2f}", f"{milliseconds / medians['nothing']:.1f}")
    console.print(table)


def cold_start(lms: Lms) -> None:
    """Show where the time of a fresh process goes, from the first import to the first answer."""
    runs = [cold_run(add_roster(lms, 1)) for _ in range(COLD_STARTS)]
    spent = {name: statistics.median(run["spent"][name] for run in runs) * 1000 for name in runs[0]["spent"]}
    table = Table("part", "ms", "% of all", title=f"cold start; boto3 imported: {runs[0]['boto3']}")
    for name, milliseconds in (spent | {"all": sum(spent.values())}).items():
        table.add_row(name, f"{milliseconds:.0f}", f"{100 * milliseconds / sum(spent.values()):.0f}")
    console.print(table)


def surroundings() -> None:
    """Compare a 1,000-key batch in a large LMS with one in an LMS a hundredth its size."""
    seconds: dict[str, float] = {}
    for name, users, course_enrollments in (("small", 2_000, 5_000), ("large", 200_000, 500_000)):
        with database("surroundings") as lms:
            add_surroundings(lms, users, course_enrollments)
            seconds |= typical_seconds(lms, [Way(f"{name}: {users:,} users", directly)])
    small, *_ = seconds.values()
    table = Table("LMS", "seconds", "x small", title="1,000 clean keys in LMSs of two sizes")
    for name, taken in seconds.items():
        table.add_row(name, f"{taken:.3f}", f"{taken / small:.2f}")
    console.print(table)


def plainly(roster: Roster) -> None:
    """Link in the plain way."""
    with connect() as connection:
        link_plainly(connection, roster.program_uuid, roster.external_keys_to_usernames)


def as_one_script(roster: Roster) -> None:
    """Link with one SQL script."""
    with connect() as connection:
        connection.run(bound_script(roster))


def directly(roster: Roster, **options: bool) -> None:
    """Link by direct invocation."""
    request = {
        "program_uuid": roster.program_uuid,
        "external_keys_to_usernames": roster.external_keys_to_usernames,
    }
    with quiet():
        answer = lambda_handler(request | options, invocation(900_000))
    if answer["linked"] != len(roster.external_keys_to_usernames):
        raise RuntimeError(f"not all keys were linked: {list(answer['errors'].values())[:3]}")


def with_each_key_alone(roster: Roster) -> None:
    """Link with a plan that leaves each key to the loop."""

    def plan_alone(batch: Batch, reading: Reading) -> Plan:
        usual = decisions.plan(batch, reading)
        return replace(usual, together=[], alone=usual.together + usual.alone)

    with connect() as connection:
        session = Session(connection, time.monotonic() + 900)
        with session.transaction():
            link_batch(session, Batch(roster.program_uuid, None, roster.external_keys_to_usernames), decide=plan_alone)


def over_http(roster: Roster) -> dict[str, object]:
    """Link by an API Gateway event; return the response as Lambda would hand it on, JSON."""
    event = json.loads((EVENTS / "api-link.json").read_text())
    request = {
        "program_uuid": roster.program_uuid,
        "external_keys_to_usernames": roster.external_keys_to_usernames,
    }
    with quiet():
        response = lambda_handler(event | {"body": json.dumps(request)}, invocation())
    return dict(json.loads(json.dumps(response)))


def typical_seconds(lms: Lms, ways: list[Way]) -> dict[str, float]:
    """The median time that each way takes for a roster of its own: in turns, so that noise meets all of them."""
    for way in ways:
        way.link(way.add(lms, 10))
    rosters = [[(way, way.add(lms, way.size)) for way in ways] for _ in range(ROUNDS)]
    lms.run("ANALYZE")
    spent: dict[str, list[float]] = {way.name: [] for way in ways}
    for way, roster in chain.from_iterable(rosters):
        spent[way.name].append(timed(way.link, roster))
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def timed(work: Callable[[Roster], object], roster: Roster) -> float:
    """How many seconds the work takes."""
    started = time.perf_counter()
    work(roster)
    return time.perf_counter() - started


def round_trip() -> float:
    """The median time of a round trip to the database, in milliseconds."""
    with connect() as connection:
        trips = []
        for _ in range(100):
            started = time.perf_counter()
            connection.run("SELECT 1")
            trips.append(time.perf_counter() - started)
    return statistics.median(trips) * 1000


def cold_run(roster: Roster) -> dict[str, Any]:
    """What a fresh process reports of its cold start."""
    request = {
        "program_uuid": roster.program_uuid,
        "external_keys_to_usernames": roster.external_keys_to_usernames,
    }
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.cold_start"],
        env=os.environ | {"BENCHMARK_EVENT": json.dumps(request)},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(run.stderr))


def reader_milliseconds(work: Callable[[], object]) -> float:
    """The median time that a count takes another session while work is done here."""
    with process(processes.count_rows) as reader:
        reader.recv()
        work()
        reader.send("stop")
        return float(reader.recv())


@contextmanager
def line(delay: float) -> Iterator[None]:
    """The way to the database, over a proxy with a delay each way if there is one, in a process of its own."""
    forget_connection()
    if not delay:
        yield
        return
    straight = {name: os.environ[name] for name in ("PGHOST", "PGPORT")}
    with process(processes.delaying_line, os.environ["PGHOST"], int(os.environ["PGPORT"]), delay) as running:
        os.environ |= running.recv()
        yield
        forget_connection()
        os.environ |= straight
        running.send("stop")


@contextmanager
def process(target: Callable[..., None], *arguments: object) -> Iterator[Pipe]:
    """A process of its own, with a pipe to it; it ends by itself when it is told to stop."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    running = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    running.start()
    theirs.close()
    yield ours
    running.join()


@contextmanager
def database(name: str) -> Iterator[Lms]:
    """A new database with the schema and the courses of the rosters, which PG* name."""
    forget_connection()
    with connect() as administrator:
        administrator.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        administrator.run(f"CREATE DATABASE {name}")
        before, os.environ["PGDATABASE"] = os.environ["PGDATABASE"], name
        with connect() as connection:
            migrate(connection)
            lms = Lms(connection)
            add_courses(lms)
            yield lms
        forget_connection()
        os.environ["PGDATABASE"] = before
        administrator.run(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def quiet() -> Iterator[None]:
    """Write what the service logs into a file, as costs it the same as on Lambda, and nobody reads it."""
    sys.stdout.flush()
    terminal = os.dup(1)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(terminal, 1)
            os.close(terminal)


def peak_megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
