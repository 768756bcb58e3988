"""Rosters of enrollments: from the file to the results, written in a real PostgreSQL."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments.enrolling.rows import CourseRow
from program_enrollments.enrolling.verbs import write_program_course_enrollments
from program_enrollments.limits import LONGEST_KEY, LONGEST_STATUS
from roster_function import bucket, cutting, enrollments
from tests.enrolling.test_identities import identity, sso  # noqa: F401 - a fixture
from tests.enrolling.test_meaning import COURSE, World, build, contents, course_rows, worlds
from tests.rosters.support import Items, Machine, arrive, call, drop, linked, result, status
from tests.rosters.test_api import is_described

STATE_BYTES = 262_144
KEYS = [f"key{number}" for number in range(20)]


def lines(keys: list[str] = KEYS, header: str = "student_key,status", wanted: str = "enrolled") -> str:
    """A file with a line for each key."""
    return "\n".join([header, *(f"{key},{wanted}" for key in keys)]) + "\n"


def walked(rosters: Machine, text: str, **metadata: str) -> dict[str, Any]:
    """The roster that a dropped file of enrollments is in the end."""
    arrive(drop(text, kind="enrollments", **metadata))
    return status(rosters.walk()["roster_id"])


def statuses(lms: Lms, table: str = "programenrollment") -> Counter[str]:
    """How many enrollments have each status."""
    return Counter(row[0] for row in lms.rows(f"program_enrollments_{table}", "status"))


@pytest.mark.usefixtures("small_requests")
def test_a_dropped_file_is_written(rosters: Machine, cohort: Lms) -> None:
    """A file of new keys and of keys that are there is written in several requests; its results say so line by line."""
    keys = [*KEYS, *(f"new{number}" for number in range(20))]
    roster = walked(rosters, lines(keys, wanted="pending") + "wrong,gone\n", curriculum_uuid=CURRICULUM)
    assert len(list(bucket.lines(bucket.run(roster["roster_id"], "batches.jsonl")))) > 2
    assert rosters.concurrency == 4
    assert (roster["state"], roster["keys"], roster["done"], roster["written"]) == ("finished", 41, 41, 40)
    assert (roster["failed"], roster["linked"]) == ({"invalid-status": 1}, 0)
    assert statuses(cohort) == {"pending": 40}
    rows = result(roster["roster_id"], "results.csv")
    assert rows[0] == ["student_key", "status", "outcome", "code", "message"]
    assert rows[1] == ["key0", "pending", "written", "", ""]
    assert [row[0] for row in rows[1:]] == [*keys, "wrong"]
    assert rows[-1] == ["wrong", "gone", "failed", "invalid-status", "There is no such status."]
    assert json.loads(bucket.read(bucket.result(roster["roster_id"], "summary.json")) or b"")["written"] == 40


def test_places_in_a_course(rosters: Machine, cohort: Lms) -> None:
    """With a course, linked learners enter it and the places of others wait, one request after the other."""
    cohort.course()
    alice = cohort.user("alice")
    cohort.enrollment("held", user_id=alice)
    text = "Student Key;Status;Name;course_staff\nheld;active;Ada;\nkey0;inactive;Bo;true\nabsent;active;Cy;\n"
    roster = walked(rosters, text, course_key=DEMO_COURSE)
    assert rosters.concurrency == 1
    assert (roster["written"], roster["failed"]) == (2, {"not-in-program": 1})
    assert cohort.rows("student_courseenrollment", "user_id, mode, is_active") == [[alice, "masters", True]]
    assert statuses(cohort, "programcourseenrollment") == {"active": 1, "inactive": 1}
    failed = result(roster["roster_id"], "failed.csv", ";")
    assert failed[0] == ["Student Key", "Status", "Name", "course_staff", "code", "message"]
    assert failed[1:] == [["absent", "active", "Cy", "", "not-in-program", "The key is not in the program."]]


@pytest.mark.slow
def test_failed_lines_can_be_corrected_and_sent_again(rosters: Machine, cohort: Lms) -> None:
    """The failed lines are a roster again; what is as asked for already is written too, and a report is not doubled."""
    first = walked(rosters, lines(["key0", "key1"], wanted="gone"), update="true")
    data = (bucket.read(bucket.result(first["roster_id"], "failed.csv")) or b"").decode()
    again = walked(rosters, data, update="true")
    assert bucket.read(bucket.result(again["roster_id"], "failed.csv")) == data.encode()
    corrected = walked(rosters, data.replace(",gone,", ",ended,"), update="true")
    assert (corrected["written"], statuses(cohort)) == (2, {"ended": 2, "enrolled": 18})
    repeated = walked(rosters, data.replace(",gone,", ",ended,"), update="true")
    assert (repeated["written"], repeated["failed"]) == (2, {})


@pytest.mark.parametrize(
    ("way", "failed"),
    [
        ({"create": "true"}, {"conflict": 1}),
        ({"update": "true"}, {"not-in-program": 1}),
        ({}, {}),
        ({"create": "true", "update": "true"}, {}),
    ],
)
def test_what_is_done(rosters: Machine, cohort: Lms, way: dict[str, str], failed: dict[str, int]) -> None:
    """Only what is not there is made, only what is there is changed, or either: the last goes without saying."""
    roster = walked(rosters, lines(["key0", "new"], wanted="ended"), curriculum_uuid=CURRICULUM, **way)
    assert roster["failed"] == failed


@pytest.mark.parametrize(
    ("text", "metadata", "fault"),
    [
        ("key0,enrolled\nKEY0,ended\n", {"update": "true"}, "line 2: student key KEY0 provided multiple times"),
        ("key0,enrolled\n", {}, "line 1: a new enrollment needs a curriculum_uuid"),
        ("key0,\n", {"update": "true"}, "line 1: both values are needed: student_key,status"),
        (f"key0,{'x' * 101}\n", {"update": "true"}, "line 1: status is longer than 100 characters"),
        ("student_key,username\nk,u\n", {"update": "true"}, "line 1: the header lacks status"),
        ("", {}, "the file is empty"),
        ("k,active\n", {"course-key": "c", "idp": "uni"}, "metadata body: idp is for new enrollments in a program"),
        ("k,active\n", {"course": "c"}, "metadata course: is not an option; course-key is one"),
        ("k,active\n", {"relink": "true"}, "metadata relink: is an option of another kind of roster"),
    ],
)
def test_a_file_at_fault_is_refused(
    rosters: Machine, cohort: Lms, text: str, metadata: dict[str, str], fault: str
) -> None:
    """A file or an option at fault is named, and nothing is written."""
    roster = walked(rosters, text, **metadata)
    assert roster["state"] == "refused"
    assert roster["faults"][0].startswith(fault)
    assert statuses(cohort) == {"enrolled": 20}


def test_a_kind_that_is_not_known(rosters: Machine, cohort: Lms) -> None:
    """A file is not linked if the kind that it is put for is not known."""
    arrive(drop("key0,user0", kind="enrolments"))
    assert status(rosters.walk()["roster_id"])["faults"] == ["metadata kind: must be links or enrollments"]
    assert linked(cohort) == 0


@pytest.mark.usefixtures("small_requests")
@pytest.mark.parametrize(("percent", "state", "ended"), [("4.9", "held", 0), ("5", "finished", 19)])
def test_a_roster_of_which_too_many_would_fail_is_held(
    rosters: Machine, cohort: Lms, percent: str, state: str, ended: int
) -> None:
    """Above the given share of failures, of the whole roster, nothing is written; at it, all is."""
    text = lines([*KEYS[:19], "absent"], wanted="ended")
    roster = walked(rosters, text, update="true", hold_above_percent=percent)
    assert (roster["state"], roster["written"], roster["failed"]) == (state, 19, {"not-in-program": 1})
    assert statuses(cohort)["ended"] == ended


@pytest.mark.slow
@pytest.mark.usefixtures("small_requests")
def test_stopping_and_resuming(rosters: Machine, cohort: Lms) -> None:
    """A stop lets no further request start; resuming writes the rest, and nothing twice."""

    def stop_after_one(items: Items) -> Items:
        yield items[0]
        call("POST", f"/rosters/{rosters.started[0]}/stop")
        yield from items[1:]

    new = [f"new{number}" for number in range(40)]
    arrive(drop(lines(new), kind="enrollments", create="true", curriculum_uuid=CURRICULUM))
    roster_id = rosters.walk(stop_after_one)["roster_id"]
    stopped = status(roster_id)
    outcomes = Counter(row[2] for row in result(roster_id, "results.csv")[1:])
    assert stopped["state"] == "stopped"
    assert 0 < stopped["written"] < 40
    assert outcomes == {"written": stopped["written"], "not-done": 40 - stopped["written"]}
    call("POST", f"/rosters/{roster_id}/resume")
    rosters.walk()
    assert (status(roster_id)["state"], status(roster_id)["written"], status(roster_id)["failed"]) == (
        "finished",
        40,
        {},
    )
    assert statuses(cohort) == {"enrolled": 60}


def test_a_course_that_is_not_there_yet(rosters: Machine, cohort: Lms) -> None:
    """A roster for a course that the LMS does not know fails and says so; once it does, resuming writes it."""
    text = lines(wanted="active")
    roster = walked(rosters, text, course_key=DEMO_COURSE)
    assert (roster["state"], roster["done"]) == ("failed", 0)
    assert roster["message"] == ("InvalidRequest: There is no such course. course_key: names no course run of the LMS.")
    cohort.course()
    assert call("POST", f"/rosters/{roster['roster_id']}/resume")[0] == 200
    rosters.walk()
    assert (status(roster["roster_id"])["state"], status(roster["roster_id"])["written"]) == ("finished", 20)


def test_keys_that_a_provider_knows(rosters: Machine, cohort: Lms, sso: Lms) -> None:  # noqa: F811
    """With an identity provider, new keys that it knows are linked at once, one request after the other."""
    identity(sso, "uni:new", sso.user("ada"))
    roster = walked(rosters, lines(["new", "other"]), idp="uni", curriculum_uuid=CURRICULUM)
    assert (roster["written"], rosters.concurrency, linked(cohort)) == (2, 1, 1)


def test_a_request_for_one(rosters: Machine, cohort: Lms) -> None:
    """POST /rosters takes the kind and its options, and shows them; the file is written as was asked."""
    asked = {"kind": "enrollments", "create": True, "curriculum_uuid": CURRICULUM}
    code, answer = call("POST", "/rosters", {"program_uuid": PROGRAM, **asked})
    assert code == 201
    assert answer["options"] == {"dry_run": False, "update": False, **asked}
    put = bucket.s3().put_object(
        Bucket=bucket.name(), Key=answer["upload"]["fields"]["key"], Body=lines(["new"]).encode()
    )
    detail = {"object": {"key": answer["upload"]["fields"]["key"], "version-id": put["VersionId"]}}
    arrive({"source": "aws.s3", "detail": detail})
    rosters.walk()
    assert (status(answer["roster_id"])["written"], statuses(cohort)) == (1, {"enrolled": 21})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "enrollments", "relink": True}, "relink: is not known; the fields are dry_run, "),
        ({"create": True}, "create: is not known; the fields are dry_run, "),
        ({"kind": "enrolments"}, "kind: must be links or enrollments"),
        ({"kind": None}, "kind: must be links or enrollments"),
        ({"kind": ["links"]}, "kind: must be links or enrollments"),
        ({"kind": "enrollments", "course_key": ""}, "course_key: must not be empty"),
        ({"kind": "enrollments", "course_key": None}, "course_key: must be a string"),
        ({"kind": "enrollments", "create": "true"}, "create: must be true or false"),
        ({"kind": "enrollments", "course_key": "c", "idp": "u"}, "body: idp is for new enrollments in a program"),
    ],
)
def test_bad_requests(rosters: Machine, fields: dict[str, object], message: str) -> None:
    """An option of another kind, or one that is not as it should be, is 400, with what is wrong and where."""
    code, answer = call("POST", "/rosters", {"program_uuid": PROGRAM, **fields})
    assert code == 400
    assert not is_described({"program_uuid": PROGRAM, **fields}) or "idp" in fields  # which no schema forbids
    assert [f"{each['where']}: {each['what']}"[: len(message)] for each in answer["details"]] == [message]


def test_a_mail_at_the_end(rosters: Machine, cohort: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail counts what was written, without keys."""
    monkeypatch.setenv("ROSTER_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:mail")
    arrive(drop(lines(["key0", "absent"]), kind="enrollments", update="true"))
    announced = rosters.walk()
    assert "\nWritten: 1\nFailed: 1 (1 not-in-program)" in announced["mail"]["text"]
    assert not any(word in json.dumps(announced) for word in ("key0", "absent"))


@pytest.mark.parametrize("character", ["k", "é", "\U0001d55c", "\x01", '"'])
def test_requests_and_answers_fit_into_a_state(lms: Lms, character: str) -> None:
    """Whatever the keys and statuses are made of, a request and its answer each fit into a state."""
    keys = [f"{number:06}" + character * (LONGEST_KEY - 6) for number in range(2_000)]
    for wanted in ("ended", character * LONGEST_STATUS):
        rows = [{"student_key": key, "status": wanted, "curriculum_uuid": CURRICULUM} for key in keys]
        batch = next(cutting.cut(rows, enrollments.weigh, lambda _: None))
        request = {"program_uuid": PROGRAM, "enrollments": batch, "update": True}
        answer = lambda_handler(request, invocation())
        assert len(answer["statuses"]) == len(batch) < len(rows)
        assert max(size_of(request), size_of(answer)) < STATE_BYTES


def size_of(value: object) -> int:
    """The bytes of a value in the longer of the two ways to write JSON."""
    return max(len(json.dumps(value, ensure_ascii=ascii_only).encode()) for ascii_only in (True, False))


@pytest.mark.slow
@given(world=worlds, rows=course_rows.filter(bool), largest=st.integers(100, 400))
def test_cutting_changes_nothing(rosters: Machine, lms: Lms, world: World, rows: list[CourseRow], largest: int) -> None:
    """However a roster is cut, statuses and tables are those of a single batch."""
    once = list({row.student_key.lower(): row for row in rows}.values())
    build(lms, world)
    written = write_program_course_enrollments(lms.connection, PROGRAM, COURSE, once, create=True, update=True)
    expected = contents(lms)
    build(lms, world)
    cells = [["" if value is None else str(value) for value in row] for row in once]
    text = "\n".join([",".join(CourseRow._fields), *map(",".join, cells)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "LARGEST", largest)
        roster = walked(rosters, text, course_key=COURSE)
    codes = {row[0]: row[3] for row in result(roster["roster_id"], "results.csv")[1:] if row[3]}
    assert (roster["state"], codes) == ("finished", written.verdicts)
    assert contents(lms) == expected
