"""The server is killed under a batch."""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Timer
from typing import Any

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from local.postgres import Cluster
from program_enrollments import LinkingUnavailable, connect
from tests.faults.support import holdings, link, load_large_batch, rounds, take_back, wait_until
from tests.support import load_event

NOTHING = [0, 0, 0, 0, 0, 0]
WHOLE = [2_000, 4_000, 4_000, 2_000, 4_000, 4_000]
ALL_LINKED = {"program_uuid": PROGRAM, "linked": 2_000, "errors": {}, "error_codes": {}}


@pytest.mark.slow
@pytest.mark.storm
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGQUIT], ids=lambda sign: sign.name)
def test_a_killed_server_holds_a_batch_whole_or_not_at_all(
    mortal: Cluster, sign: signal.Signals, record_property: Callable[[str, object], None]
) -> None:
    """After a crash the batch is there whole or not at all, no answer is false, and the next call succeeds."""
    with connect() as connection:
        batch = load_large_batch(Lms(connection), 2_000)
    seconds = _seconds_for(batch)
    kills = rounds(2, 100)
    seen: Counter[str] = Counter()
    for number in range(kills):
        with connect() as connection:
            take_back(Lms(connection))
        assert link({"key-0": "user-1"})["linked"] == 0  # the process is warm
        ways = [_invoke, _post] if number % 2 else [_post, _invoke]
        moment = seconds * (number + random.random()) / kills  # noqa: S311
        answer = _while_killed(mortal, sign, moment, partial(ways[0], batch))
        held = _holdings_after_recovery(mortal)
        seen[_check(answer, held)] += 1
        repeated = ways[1](batch)
        assert repeated == (ALL_LINKED if held == NOTHING else "all linked already")
        with connect() as connection:
            assert holdings(Lms(connection)) == WHOLE
    record_property(
        "figures", f"{kills} times {sign.name} within a batch of {seconds:.2f} s: {dict(sorted(seen.items()))}"
    )


def test_a_server_that_dies_during_commit_leaves_the_outcome_unknown(mortal: Cluster) -> None:
    """A server that is killed when COMMIT is on its disk and not yet answered has the batch, and repeating says so."""
    with connect() as connection:
        lms = Lms(connection)
        batch = load_large_batch(lms, 2_000)
        assert link({"key-0": "user-1"})["linked"] == 0
        # COMMIT waits for a standby that never comes, when all else is done.
        lms.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        lms.run("SELECT pg_reload_conf()")
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(_invoke, batch)
            wait_until(lambda: lms.run("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), 10)
            mortal.stop(signal.SIGKILL)
    assert str(answer.result()) == (
        "The connection to the database was lost during COMMIT. The outcome is unknown: the batch was linked whole or"
        " not at all. Repeating it is safe: keys that are linked already will say so."
    )
    mortal.settings = (*mortal.settings, "synchronous_standby_names=")
    assert _holdings_after_recovery(mortal) == WHOLE
    assert _post(batch) == "all linked already"


def _seconds_for(batch: dict[str, str]) -> float:
    link({"key-0": "user-1"})
    started = time.monotonic()
    assert link(batch) == ALL_LINKED
    return time.monotonic() - started


def _while_killed(server: Cluster, sign: signal.Signals, moment: float, call: Callable[[], Any]) -> Any:  # noqa: ANN401
    killer = Timer(moment, server.stop, [sign])
    killer.start()
    try:
        return call()
    finally:
        killer.join()


def _invoke(batch: dict[str, str]) -> Any:  # noqa: ANN401 - an answer or an exception
    """Link by direct invocation."""
    try:
        return _in_short(link(batch))
    except LinkingUnavailable as error:
        return error


def _post(batch: dict[str, str]) -> Any:  # noqa: ANN401 - likewise
    """Link over HTTP; a 503 becomes the exception that a direct invocation would raise."""
    body = {"program_uuid": PROGRAM, "external_keys_to_usernames": batch}
    response = lambda_handler(load_event("api-link") | {"body": json.dumps(body)}, invocation())
    answer = json.loads(response["body"])
    if response["statusCode"] == 503:
        assert response["multiValueHeaders"]["Retry-After"] == ["5"]
        return LinkingUnavailable(answer["message"])
    return _in_short(answer)


def _in_short(answer: dict[str, Any]) -> Any:  # noqa: ANN401 - likewise
    is_repetition = list(answer["error_codes"].values()) == ["already-linked"] * 2_000 and answer["linked"] == 0
    return "all linked already" if is_repetition else answer


def _holdings_after_recovery(server: Cluster) -> list[int]:
    wait_until(lambda: _starts(server), 30)
    with connect() as connection:
        return holdings(Lms(connection))


def _starts(server: Cluster) -> bool:
    """Start the server; that fails while processes of the killed one are still there."""
    try:
        server.start()
    except RuntimeError:
        return False
    return True


def _check(answer: Any, held: list[int]) -> str:  # noqa: ANN401 - an answer or an exception
    """Compare what the caller got with what the database has; return it in a word."""
    assert held in (NOTHING, WHOLE)
    if isinstance(answer, LinkingUnavailable):
        if "The outcome is unknown" in str(answer):
            return "unknown, whole" if held == WHOLE else "unknown, nothing"
        assert "othing was changed" in str(answer)
        assert held == NOTHING
        return "unavailable, nothing"
    assert answer == ALL_LINKED
    assert held == WHOLE
    return "linked, whole"
