"""Section 5: what is measured of a batch, as it is printed."""

import time

from local.lms import PROGRAM, Lms
from tests.api.support import logged, measured
from tests.support import Invoke, Post, Printed

# Nothing but the error map may have these.
KEY, USERNAME = "the-secret-key", "the-secret-username"
MARK = "the-secret"


def test_metrics(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """The metrics of a batch are printed in CloudWatch's embedded format."""
    for username in ("alice", "bob"):
        lms.user(username)
    lms.enrollment("student-001")
    lms.enrollment("student-002", ["course-v1:edX+Gone+2026"])
    started = time.monotonic()
    invoke({"student-001": "alice", "student-002": "bob", "student-003": "nobody", "student-004": "nobody"})
    milliseconds = (time.monotonic() - started) * 1000
    batch, *failed = measured(printed())
    [duration] = batch.pop("BatchDuration")
    assert milliseconds / 100 < duration < milliseconds
    assert batch == {
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "ProgramLinking",
                    "Dimensions": [["service"]],
                    "Metrics": [
                        {"Name": "KeysRequested", "Unit": "Count"},
                        {"Name": "KeysLinked", "Unit": "Count"},
                        {"Name": "KeysAlreadyLinked", "Unit": "Count"},
                        {"Name": "BatchDuration", "Unit": "Milliseconds"},
                    ],
                }
            ]
        },
        "service": "program-linking",
        "KeysRequested": [4.0],
        "KeysLinked": [1.0],
        "KeysAlreadyLinked": [0.0],
    }
    assert sorted(failed, key=lambda record: str(record["error_code"])) == [
        {
            "_aws": {
                "CloudWatchMetrics": [
                    {
                        "Namespace": "ProgramLinking",
                        "Dimensions": [["service", "error_code"]],
                        "Metrics": [{"Name": "KeysFailed", "Unit": "Count"}],
                    }
                ]
            },
            "service": "program-linking",
            "error_code": code,
            "KeysFailed": [count],
        }
        for code, count in [("course-not-found", 1.0), ("user-not-found", 2.0)]
    ]


def test_linked_before(lms: Lms, post: Post, printed: Printed) -> None:
    """A key that was linked to its account before is done: status 200, no WARNING, a metric of its own."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice"}})
    assert (status, answer["linked"], answer["error_codes"]) == (200, 0, {"student-001": "already-linked"})
    records = printed()
    [record] = logged(records)
    assert (record["level"], record["message"], record["errors"]) == ("INFO", "Every key linked", answer["errors"])
    assert (record["linked"], record["already_linked"], record["failed"]) == (0, 1, 0)
    [batch] = measured(records)
    assert (batch["KeysRequested"], batch["KeysLinked"], batch["KeysAlreadyLinked"]) == ([1.0], [0.0], [1.0])


def test_linked_before_beside_others(lms: Lms, post: Post, printed: Printed) -> None:
    """A key that was linked before counts as linked beside one that fails."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    keys = {"student-001": "alice", "student-002": "bob"}
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": keys})
    assert (status, list(answer["errors"])) == (207, ["student-001", "student-002"])
    records = printed()
    [record] = logged(records)
    assert (record["level"], record["already_linked"], record["failed"]) == ("WARNING", 1, 1)
    _, failed = measured(records)
    assert (failed["error_code"], failed["KeysFailed"]) == ("user-not-found", [1.0])


def test_metrics_of_the_next_batch(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """Nothing of one batch's metrics is left for the next one on a warm environment."""
    lms.user("alice")
    lms.enrollment("student-001")
    invoke({"student-001": "nobody"}, dry_run=True)
    printed()
    invoke({"student-001": "alice"})
    [batch] = measured(printed())
    assert (batch["KeysRequested"], batch["KeysLinked"]) == ([1.0], [1.0])
    assert batch["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
