"""The state machine's definition: what it retries, and what it does not let out."""

from typing import Any

import pytest

from local.machine import definition


@pytest.fixture(scope="module")
def machine() -> dict[str, Any]:
    """The definition."""
    return definition()


def test_what_is_sent_again(machine: dict[str, Any]) -> None:
    """A request is sent again, with back-off and jitter, only if the database, Lambda or a quota turned it away."""
    (retry,) = machine["States"]["Send"]["ItemProcessor"]["States"]["Link"]["Retry"]
    assert "LinkingUnavailable" in retry["ErrorEquals"]
    assert "Lambda.TooManyRequestsException" in retry["ErrorEquals"]
    assert not {"States.ALL", "InvalidRequest", "DatabaseNotReady", "LinkingFailed"} & set(retry["ErrorEquals"])
    assert (retry["JitterStrategy"], retry["BackoffRate"]) == ("FULL", 2)


def test_a_request_gets_its_time(machine: dict[str, Any]) -> None:
    """All tries of a request, each as long as LinkFunction may take, fit into the five minutes of an execution."""
    (retry,) = machine["States"]["Send"]["ItemProcessor"]["States"]["Link"]["Retry"]
    waits = [
        min(retry["IntervalSeconds"] * 2**number, retry["MaxDelaySeconds"]) for number in range(retry["MaxAttempts"])
    ]
    assert (retry["MaxAttempts"] + 1) * 28 + sum(waits) < 300


def test_no_history_of_requests(machine: dict[str, Any]) -> None:
    """The executions that have keys and usernames are express ones, which keep no history."""
    assert machine["States"]["Send"]["ItemProcessor"]["ProcessorConfig"] == {
        "Mode": "DISTRIBUTED",
        "ExecutionType": "EXPRESS",
    }
    assert "Result" not in str(machine["States"]["Send"].get("ResultPath"))


def test_every_end_is_collected(machine: dict[str, Any]) -> None:
    """Whatever happens to the plan or to a request, the results are collected."""
    for name in ("Plan", "Send"):
        (catch,) = machine["States"][name]["Catch"]
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], "Collect")
