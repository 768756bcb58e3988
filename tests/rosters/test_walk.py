"""Rosters from the file to the results, linked in a real PostgreSQL."""

import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from functions.link.app import lambda_handler as link_handler
from lambda_runtime.connection import forget_connection
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from roster_function import bucket, plan
from roster_function.record import Record
from tests.rosters.support import (
    BUCKET,
    Items,
    Machine,
    arrive,
    call,
    csv_of,
    drop,
    linked,
    pairs,
    put_event,
    result,
    status,
    step,
)
from tests.support import Printed

pytestmark = pytest.mark.usefixtures("small_requests")


def test_a_dropped_file_is_linked(rosters: Machine, cohort: Lms) -> None:
    """A file that is put into the bucket is linked in several requests, and its results say so line by line."""
    arrive(drop(csv_of(pairs() | {"key3": "nobody", "absent": "user3"})))
    roster_id = rosters.walk()["roster_id"]
    assert linked(cohort) == 19
    shown = status(roster_id)
    assert (shown["state"], shown["keys"], shown["done"], shown["linked"]) == ("finished", 21, 21, 19)
    assert shown["failed"] == {"user-not-found": 1, "not-in-program": 1}
    assert shown["submitted_by"] == "111122223333 (192.0.2.7)"
    assert shown["created"] < shown["started"] < shown["ended"]
    rows = result(roster_id, "results.csv")
    assert rows[0] == ["external_user_key", "lms_username", "outcome", "code", "message"]
    assert [row[0] for row in rows[1:]] == [*pairs(), "absent"]
    assert rows[4] == ["key3", "nobody", "failed", "user-not-found", "No user found with username nobody"]
    assert rows[5] == ["key4", "user4", "linked", "", ""]
    assert [row[0] for row in result(roster_id, "failed.csv")] == ["external_user_key", "key3", "absent"]
    assert json.loads(bucket.read(bucket.result(roster_id, "summary.json")) or b"")["linked"] == 19


def test_one_line(rosters: Machine, cohort: Lms) -> None:
    """A roster of one line is a roster."""
    arrive(drop("key0,user0"))
    assert rosters.walk()["summary"]["linked"] == 1
    assert linked(cohort) == 1


@pytest.mark.slow
def test_the_same_file_twice(rosters: Machine, cohort: Lms) -> None:
    """Each version of an object is a roster of its own; what the first one linked is no failure in the second."""
    for _ in range(2):
        arrive(drop(csv_of(pairs())))
        rosters.walk()
    first, second = rosters.started
    assert first != second
    assert (status(first)["linked"], status(second)["linked"]) == (20, 0)
    assert (status(second)["state"], status(second)["already_linked"], status(second)["failed"]) == ("finished", 20, {})
    assert result(second, "failed.csv") == [["external_user_key", "lms_username", "code", "message"]]
    assert result(second, "results.csv")[1][2:4] == ["already-linked", "already-linked"]


@pytest.mark.slow
def test_an_event_twice(rosters: Machine, cohort: Lms) -> None:
    """S3 may send an event twice: one roster is started, and nothing happens to one that has ended."""
    event = drop(csv_of(pairs()))
    arrive(event)
    arrive(event)
    rosters.walk()
    arrive(event)
    assert len(rosters.started) == 1
    assert status(rosters.started[0])["state"] == "finished"


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace(",", ";").encode(),
        lambda text: ("sep=;\r\n" + text.replace(",", ";")).encode(),
        lambda text: text.replace(",", "\t").encode("utf-16"),
    ],
)
def test_files_as_the_command_reads_them(rosters: Machine, cohort: Lms, write: Callable[[str], bytes]) -> None:
    """Encodings and delimiters are the command's; the failed lines come in the file's own delimiter."""
    arrive(drop(write(csv_of(pairs(2) | {"schlüssel": "user2"}))))
    roster_id = rosters.walk()["roster_id"]
    assert linked(cohort) == 2
    delimiter = next(
        each for each in ",;\t" if each in (bucket.read(bucket.result(roster_id, "failed.csv")) or b"").decode()
    )
    assert result(roster_id, "failed.csv", delimiter)[1][:3] == ["schlüssel", "user2", "not-in-program"]


@pytest.mark.slow
def test_failed_lines_can_be_corrected_and_sent_again(rosters: Machine, cohort: Lms) -> None:
    """The failed lines keep the columns of the file, and are a roster again as they are; a report is not doubled."""
    arrive(drop('LMS Username;Name;Student Key\nnobody;"Ada; L";key0\nuser1;Bob;key1\n'))
    first = rosters.walk()["roster_id"]
    data = bucket.read(bucket.result(first, "failed.csv")) or b""
    assert result(first, "failed.csv", ";") == [
        ["LMS Username", "Name", "Student Key", "code", "message"],
        ["nobody", "Ada; L", "key0", "user-not-found", "No user found with username nobody"],
    ]
    arrive(drop(data))
    second = rosters.walk()["roster_id"]
    assert bucket.read(bucket.result(second, "failed.csv")) == data
    arrive(drop(data.replace(b"nobody;", b"user0;")))
    assert rosters.walk()["summary"]["linked"] == 1
    assert linked(cohort) == 2


def test_a_file_at_fault_is_refused(rosters: Machine, cohort: Lms) -> None:
    """Nothing is linked of a file with faults; the first twenty are shown, with their lines, and how many there are."""
    lines = "".join(f"dup{number},user1\ndup{number},user2\n" for number in range(25))
    arrive(drop(csv_of(pairs()) + lines))
    announced = rosters.walk()
    shown = status(announced["roster_id"])
    assert (shown["state"], shown["fault_count"], len(shown["faults"])) == ("refused", 25, 20)
    assert shown["faults"][0] == "line 23: external user key dup0 provided multiple times, first in line 22"
    assert shown["keys"] is None
    assert list(shown["results"]) == ["summary.json"]
    assert linked(cohort) == 0
    assert "dup" not in json.dumps(announced)


@pytest.mark.parametrize(
    ("key", "metadata", "faults"),
    [
        ("rosters/nightly.csv", {}, ["this is not a place for rosters"]),
        ("rosters/masters/nightly.csv", {}, ["this is not a place for rosters"]),
        (f"rosters/{PROGRAM}/a.csv", {"relink": "yes"}, ["metadata relink: must be true or false"]),
        (f"rosters/{PROGRAM}/a.csv", {"dry-runn": "true"}, ["metadata dry-runn: is not an option; dry-run is one"]),
        (f"rosters/{PROGRAM}/a.csv", {"hold-above-percent": "101"}, ["hold-above-percent: must be at most 100"]),
        (f"rosters/{PROGRAM}/a.csv", {"curriculum-uuid": "c"}, ["metadata curriculum-uuid: must be a UUID"]),
    ],
)
def test_a_file_put_wrongly_is_refused(
    rosters: Machine, cohort: Lms, key: str, metadata: dict[str, str], faults: list[str]
) -> None:
    """A file in the wrong place, or with an option that is not one, is a refused roster that says so."""
    put = bucket.s3().put_object(Bucket=BUCKET, Key=key, Body=b"key0,user0", Metadata=metadata)
    arrive(put_event(key, put["VersionId"]))
    shown = status(rosters.walk()["roster_id"])
    assert shown["state"] == "refused"
    assert all(fault in each for fault, each in zip(faults, shown["faults"], strict=True))
    assert linked(cohort) == 0


def test_options_as_metadata(rosters: Machine, cohort: Lms) -> None:
    """Options come as metadata, whatever the case and the tool's own metadata beside them."""
    arrive(drop("KEY0,user0\nkey1,user1", ignore_case="True", dry_run="false", mtime="1700000000"))
    roster_id = rosters.walk()["roster_id"]
    assert status(roster_id)["options"] == {"kind": "links", "relink": False, "dry_run": False, "ignore_case": True}
    assert linked(cohort) == 2


def test_a_dry_run_changes_nothing(rosters: Machine, cohort: Lms) -> None:
    """A dry run ends with the results that a real one would have, and nothing is linked."""
    arrive(drop(csv_of(pairs() | {"absent": "user0"}), dry_run="true"))
    shown = status(rosters.walk()["roster_id"])
    assert (shown["state"], shown["linked"], shown["failed"]) == ("finished", 20, {"not-in-program": 1})
    assert linked(cohort) == 0


@pytest.mark.parametrize(("percent", "state", "now_linked"), [("9.9", "held", 0), ("10", "finished", 18)])
def test_a_roster_of_which_too_many_would_fail_is_held(
    rosters: Machine, cohort: Lms, percent: str, state: str, now_linked: int
) -> None:
    """Above the given share of failures, of the whole roster, nothing is linked; at it, all is."""
    arrive(drop(csv_of(pairs() | {"key7": "nobody", "key8": "nobody"}), hold_above_percent=percent))
    roster_id = rosters.walk()["roster_id"]
    assert status(roster_id)["state"] == state
    assert linked(cohort) == now_linked
    assert [row[0] for row in result(roster_id, "failed.csv")[1:]] == ["key7", "key8"]


@pytest.mark.slow
def test_already_linked_keys_hold_nothing_up(rosters: Machine, cohort: Lms) -> None:
    """A key that is linked already is no failure to a threshold of 0."""
    for _ in range(2):
        arrive(drop(csv_of(pairs()), hold_above_percent="0"))
        assert rosters.walk()["summary"]["state"] == "finished"


def test_a_database_that_stays_away(rosters: Machine, cohort: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    """A roster fails with the reason, its results say what was not done, and resuming does that and nothing else."""

    def go_away_after_two(items: Items) -> Items:
        yield from items[:2]
        monkeypatch.setenv("PGPORT", "1")
        forget_connection()
        yield from items[2:]

    port = os.environ["PGPORT"]
    arrive(drop(csv_of(pairs())))
    announced = rosters.walk(go_away_after_two)
    assert announced["is_failed"]
    roster_id = announced["roster_id"]
    shown = status(roster_id)
    assert (shown["state"], shown["done"]) == ("failed", 8)
    assert shown["message"].startswith("LinkingUnavailable: ")
    assert [row[2] for row in result(roster_id, "results.csv")[1:]] == ["linked"] * 8 + ["not-done"] * 12
    assert linked(cohort) == 8
    monkeypatch.setenv("PGPORT", port)
    code, answer = call("POST", f"/rosters/{roster_id}/resume")
    assert (code, answer["state"], answer["done"]) == (200, "linking", 8)
    rosters.walk()
    shown = status(roster_id)
    assert (shown["state"], shown["linked"], shown["already_linked"], shown["message"]) == ("finished", 20, 0, None)


def test_stopping(rosters: Machine, cohort: Lms) -> None:
    """A stop lets no further request start: what is done stays done, the results say what was not, and it can go on."""

    def stop_after_three(items: Items) -> Items:
        yield from items[:3]
        code, answer = call("POST", f"/rosters/{rosters.started[0]}/stop")
        assert (code, answer["state"], answer["stopping"], answer["done"]) == (200, "linking", True, 12)
        yield from items[3:]

    arrive(drop(csv_of(pairs())))
    roster_id = rosters.walk(stop_after_three)["roster_id"]
    assert (status(roster_id)["state"], status(roster_id)["done"]) == ("stopped", 12)
    assert Counter(row[2] for row in result(roster_id, "results.csv")[1:]) == {"linked": 12, "not-done": 8}
    assert result(roster_id, "failed.csv")[1:] == []
    assert call("POST", f"/rosters/{roster_id}/stop")[0] == 200
    assert call("POST", f"/rosters/{roster_id}/resume")[0] == 200
    rosters.walk()
    assert (status(roster_id)["state"], status(roster_id)["linked"]) == ("finished", 20)


def test_a_stop_before_the_first_request(rosters: Machine, cohort: Lms) -> None:
    """A roster that is stopped while it is checked links nothing."""
    arrive(drop(csv_of(pairs()), hold_above_percent="50"))
    roster_id = rosters.started[0]
    call("POST", f"/rosters/{roster_id}/stop")
    rosters.walk()
    assert (status(roster_id)["state"], status(roster_id)["keys"], linked(cohort)) == ("stopped", 20, 0)
    call("POST", f"/rosters/{roster_id}/resume")
    rosters.walk()
    assert (status(roster_id)["state"], linked(cohort)) == ("finished", 20)


def test_a_step_that_dies_is_repeated(rosters: Machine, cohort: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a step dies, doing it again ends as if it had not: nothing is sent or counted twice."""

    def die(record: Record) -> None:
        raise OSError(record.roster_id)

    def die_halfway(items: Items) -> Items:
        for item in items:
            link_handler(item["request"], invocation())  # its answer never arrives, and Step Functions asks again
            yield item
        keep_again(items[0])

    arrive(drop(csv_of(pairs())))
    roster_id = rosters.started[0]
    for name in ("plan", "collect"):
        with monkeypatch.context() as dying:
            dying.setattr(bucket, "save", die)
            with pytest.raises(OSError, match=roster_id):
                step(name, roster_id=roster_id)
        if name == "plan":
            step("plan", roster_id=roster_id)
    rosters.walk(die_halfway)
    shown = status(roster_id)
    assert (shown["state"], shown["done"], shown["linked"], shown["already_linked"]) == ("finished", 20, 4, 16)
    assert linked(cohort) == 20


def keep_again(item: dict[str, Any]) -> None:
    """Keep another answer to a request, as if it had been sent twice at once and one of both had linked its keys."""
    keys = list(item["request"]["external_keys_to_usernames"])
    answer = {"program_uuid": PROGRAM, "linked": len(keys), "errors": {}, "error_codes": {}}
    step("keep", roster_id=item["roster_id"], kind="links", phase=item["phase"], batch=item["batch"], answer=answer)


@pytest.mark.slow
def test_what_the_machine_cannot_report(rosters: Machine, cohort: Lms) -> None:
    """A roster whose execution was stopped or broke down by itself is shown as such, and can be resumed."""
    for number, (ended, state) in enumerate([("ABORTED", "stopped"), ("FAILED", "failed"), ("TIMED_OUT", "failed")]):
        arrive(drop(csv_of(pairs()), name=f"{number}.csv"))
        roster_id = rosters.started[-1]
        rosters.statuses[f"{roster_id}-1"] = ended
        assert status(roster_id)["state"] == state
        assert call("POST", f"/rosters/{roster_id}/resume")[0] == 200
        assert rosters.walk()["summary"]["state"] == "finished"


def test_what_does_not_fit_the_state(rosters: Machine, cohort: Lms) -> None:
    """A roster that has ended is neither stopped nor resumed: 409, with a sentence."""
    arrive(drop(csv_of(pairs())))
    roster_id = rosters.walk()["roster_id"]
    for verb in ("stop", "resume"):
        code, answer = call("POST", f"/rosters/{roster_id}/{verb}")
        assert code == 409
        assert answer["message"].startswith("The roster is finished: ")


def test_relinking_goes_in_order(rosters: Machine, cohort: Lms) -> None:
    """A roster with relink is sent one request at a time, in the order of its file, also where an account repeats."""
    arrive(
        drop(
            csv_of({"key0": "user0", "key1": "user1", "key2": "user0", "key3": "user2", "key4": "user3"}), relink="true"
        )
    )
    roster_id = rosters.walk()["roster_id"]
    assert rosters.concurrency == 1
    sent = [list(request["external_keys_to_usernames"]) for request in plan.requests(roster_id)]
    assert [key for keys in sent for key in keys] == [f"key{number}" for number in range(5)]


def test_a_mail_at_the_end(rosters: Machine, cohort: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a topic, there is a mail of counts, without keys and usernames; without one, there is none."""
    arrive(drop(csv_of(pairs() | {"absent": "user0"})))
    assert "mail" not in rosters.walk()
    monkeypatch.setenv("ROSTER_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:mail")
    arrive(drop(csv_of(pairs() | {"absent": "user0"}), name="nächtlich.csv"))
    announced = rosters.walk()
    assert announced["topic"] == "arn:aws:sns:eu-west-1:111122223333:mail"
    assert announced["mail"]["subject"] == "Roster finished: n?chtlich.csv"
    assert "Failed: 1 (1 not-in-program)" in announced["mail"]["text"]
    assert not any(word in json.dumps(announced) for word in ("key1", "user1", "absent"))


def test_nothing_logs_keys_or_usernames(rosters: Machine, cohort: Lms, printed: Printed) -> None:
    """But for LinkFunction's error map, no record of a whole walk has a key or a username."""
    arrive(drop(csv_of(pairs() | {"key3": "nobody"})))
    roster_id = rosters.walk()["roster_id"]
    status(roster_id)
    records = [record for record in printed() if not record.get("errors")]
    assert records
    assert not [record for record in records if "key1" in str(record) or "user1" in str(record)]
