"""What the benchmarks measure with: a database and a line of their own, rosters in turns, seconds and memory."""

import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection as Pipe

from rich.console import Console

from benchmarks import processes
from benchmarks.roster import Roster, add_courses, add_roster
from lambda_runtime.connection import forget_connection
from local.lms import Lms
from program_enrollments import connect
from program_enrollments.migrate import migrate

SIZE = 1_000
ROUNDS = 5

console = Console(width=120)


@dataclass(frozen=True)
class Way:
    """A way to link rosters of some size."""

    name: str
    link: Callable[[Roster], object]
    size: int = SIZE
    add: Callable[[Lms, int], Roster] = add_roster


def typical_seconds(lms: Lms, ways: list[Way], rounds: int = ROUNDS) -> dict[str, float]:
    """The median time that each way takes for a roster of its own: in turns, so that noise meets all of them."""
    for way in ways:
        way.link(way.add(lms, 10))
    rosters = [[(way, way.add(lms, way.size)) for way in ways] for _ in range(rounds)]
    lms.run("ANALYZE")
    spent: dict[str, list[float]] = {way.name: [] for way in ways}
    for way, roster in chain.from_iterable(rosters):
        spent[way.name].append(timed(way.link, roster))
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def timed(work: Callable[[Roster], object], roster: Roster) -> float:
    """How many seconds the work takes; what it says itself if it returns a number."""
    started = time.perf_counter()
    said = work(roster)
    return said if isinstance(said, float) else time.perf_counter() - started


def round_trip() -> float:
    """The median time of a round trip to the database, in milliseconds."""
    with connect() as connection:
        trips = []
        for _ in range(100):
            started = time.perf_counter()
            connection.run("SELECT 1")
            trips.append(time.perf_counter() - started)
    return statistics.median(trips) * 1000


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
    """A process of its own, with a pipe to it; it ends by itself when it is asked to stop."""
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
