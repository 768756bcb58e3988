"""`make bench`: what linking costs. Each table comes from one run, side by side, and prints ratios."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.bound import bound_script
from benchmarks.enrolling import enrolling
from benchmarks.measuring import (
    SIZE,
    Way,
    console,
    database,
    line,
    peak_megabytes,
    quiet,
    reader_milliseconds,
    round_trip,
    timed,
    typical_seconds,
)
from benchmarks.plain import link_plainly
from benchmarks.roster import Roster, add_linked_roster, add_mixed_roster, add_roster, add_surroundings
from benchmarks.trouble import TROUBLES, Trouble, in_the_way
from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import Lms
from local.server import PREFIX, failing_in_a_sentence, forget_surroundings, spare_server
from program_enrollments import connect, link_program_enrollments
from program_enrollments.linking import decisions
from program_enrollments.linking.batch import link_batch
from program_enrollments.linking.decisions import Batch, Plan, Reading
from program_enrollments.postgres.session import Session

EVENTS = Path(__file__).parent.parent / "events"
DELAY_SECONDS = 0.0005
PLAIN_SIZE = 200
LARGE = 10_000
# Version 1.0.0.
RELEASE = "3c4ea02"
COLD_STARTS = 9


def main() -> None:
    """Run all benchmarks against an embedded PostgreSQL of their own or, with SERVER=own, an empty one."""
    with failing_in_a_sentence():
        forget_surroundings()
        benchmark()


def benchmark() -> None:
    """Take all measures on that server, those of a name in a database of its own."""
    with spare_server() as server:
        os.environ |= server
        for name, measures in MEASURES.items():
            with database(f"{PREFIX}{name}") as lms:
                for measure in measures:
                    measure(lms)


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


def last_release(lms: Lms) -> None:
    """Compare clean batches with those of the last release, on loopback and over a line with a delay."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", RELEASE, "layers/core"], capture_output=True, check=False)  # noqa: S607
        if archive.returncode:
            console.print(f"the last release, {RELEASE}, is not in this checkout: nothing to compare with")
            return
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)  # noqa: S607
        for delay in (0.0, DELAY_SECONDS):
            with line(delay):
                ways = [Way("last release", by_the_core_in(f"{folder}/layers/core"), LARGE)]
                ways.append(Way("now", by_the_core_in("layers/core"), LARGE))
                seconds = typical_seconds(lms, ways, rounds=3)
                trip = round_trip()
            show("clean batch", f"{LARGE:,} clean keys; a round trip takes {trip:.2f} ms", seconds)


def by_the_core_in(folder: str) -> Callable[[Roster], object]:
    """Link by the core in a folder, in a process of its own; what it takes is what that process says."""

    def link(roster: Roster) -> float:
        pairs = json.dumps([roster.program_uuid, roster.external_keys_to_usernames])
        command = [sys.executable, "benchmarks/one_batch.py"]
        environment = os.environ | {"PYTHONPATH": folder}
        run = subprocess.run(command, env=environment, input=pairs, check=True, capture_output=True, text=True)
        return float(run.stdout)

    return link


def troubles(lms: Lms) -> None:
    """Compare large batches full of trouble with a clean one, on loopback and over a line with a delay."""
    for delay in (0.0, DELAY_SECONDS):
        with line(delay):
            seconds = {trouble.name: seconds_of(lms, trouble) for trouble in TROUBLES}
            trip = round_trip()
        show("batch", f"{LARGE:,} keys; a round trip takes {trip:.2f} ms", seconds)


def seconds_of(lms: Lms, trouble: Trouble) -> float:
    """How many seconds a batch takes, the core and the server."""
    roster = trouble.add(lms, LARGE)
    lms.run("ANALYZE")
    with connect() as connection, in_the_way(lms, trouble):
        return timed(
            lambda roster: link_program_enrollments(
                connection, roster.program_uuid, roster.external_keys_to_usernames, relink=trouble.relink
            ),
            roster,
        )


def small_batches(lms: Lms) -> None:
    """Show what the smallest batches take over a line with a delay, in round trips too."""
    with line(DELAY_SECONDS):
        seconds = typical_seconds(lms, [Way(f"{keys} keys", directly, keys) for keys in (1, 10, 100)])
        trip = round_trip()
    table = Table("batch", "ms", "x a round trip", title=f"small batches; a round trip takes {trip:.2f} ms")
    for name, taken in seconds.items():
        table.add_row(name, f"{taken * 1000:.1f}", f"{taken * 1000 / trip:.1f}")
    console.print(table)


def show(what: str, title: str, seconds: dict[str, float]) -> None:
    """Show seconds beside each other, and as so many times the first of them."""
    first, *_ = seconds
    table = Table(what, "seconds", f"x {first}", title=title)
    for name, taken in seconds.items():
        table.add_row(name, f"{taken:.2f}", f"{taken / seconds[first]:.2f}")
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
    clean, alone = add_roster(lms, LARGE), add_roster(lms, LARGE)
    medians = {
        "nothing": reader_milliseconds(lambda: time.sleep(3)),
        "a clean batch": reader_milliseconds(lambda: directly(clean)),
        "a batch whose accounts hold an old key": reader_milliseconds(lambda: seconds_of(lms, TROUBLES[1])),
        "a batch whose every other key a trigger refuses": reader_milliseconds(lambda: seconds_of(lms, TROUBLES[7])),
        "a clean batch that is left to the loop": reader_milliseconds(lambda: with_each_key_alone(alone)),
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


def surroundings(small: Lms) -> None:
    """Compare a 1,000-key batch in a small LMS with one in an LMS a hundred times its size."""
    seconds = beside_others(small, 2_000, 5_000)
    with database(f"{PREFIX}bench_large") as large:
        seconds |= beside_others(large, 200_000, 500_000)
    first, *_ = seconds.values()
    table = Table("LMS", "seconds", "x the small one", title="1,000 clean keys in LMSs of two sizes")
    for name, taken in seconds.items():
        table.add_row(name, f"{taken:.3f}", f"{taken / first:.2f}")
    console.print(table)


def beside_others(lms: Lms, users: int, course_enrollments: int) -> dict[str, float]:
    """How many seconds a batch takes in an LMS with so many others."""
    add_surroundings(lms, users, course_enrollments)
    return typical_seconds(lms, [Way(f"{users:,} users", directly)])


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


def cold_run(roster: Roster) -> dict[str, Any]:
    """What a fresh process reports of its cold start."""
    request = {
        "program_uuid": roster.program_uuid,
        "external_keys_to_usernames": roster.external_keys_to_usernames,
    }
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.cold_start"],
        # Pydantic looks for plugins in each package that is installed: over a hundred here, a dozen in Lambda.
        env=os.environ | {"BENCHMARK_EVENT": json.dumps(request), "PYDANTIC_DISABLE_PLUGINS": "__all__"},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(run.stderr))


MEASURES: dict[str, list[Callable[[Lms], None]]] = {
    "bench": [throughput, last_release, troubles, small_batches, size, options, concurrent_reader, cold_start],
    "bench_enrolling": [enrolling],
    "bench_surroundings": [surroundings],
}

if __name__ == "__main__":
    main()
