"""Rosters on the deployed stack: the state machine on a local engine, the real functions, a real PostgreSQL."""

import json
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from local.stack import Service
from program_linking.main import run
from tests.gateway import serving
from tests.rosters.deployed import (
    LEARNERS,
    drop,
    ended,
    fetched,
    fill,
    finished_rosters,
    kill,
    lines,
    linked,
    next_message,
    signing,
    until_waiting,
)

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.xdist_group("stack")]


@pytest.fixture
def lms(service: Service) -> Iterator[Lms]:
    """The LMS beside the stack: user0 with key0, and so on; the keys wait."""
    with service.lms() as lms:
        lms.run("TRUNCATE auth_user, course_overviews_courseoverview, program_enrollments_programenrollment CASCADE")
        fill(lms, LEARNERS)
        yield lms


@pytest.fixture
def command(service: Service, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """The command, in this process; what it sends to the API goes through a front that signs it."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), signing(service))) as port:

        def command(*arguments: str) -> tuple[int, str, str]:
            status = run(["roster", *arguments, "--url", f"http://127.0.0.1:{port}"])
            return status, *capsys.readouterr()

        yield command


def test_a_dropped_file_is_linked_and_announced(service: Service, lms: Lms) -> None:
    """A file in the bucket is linked in several requests at once; its results and an event say what became of it."""
    queue = finished_rosters(service)
    roster = ended(service, drop(service, lines(changed={"key7": "nobody"}))["roster_id"])
    assert (roster["state"], roster["keys"], roster["linked"]) == ("finished", LEARNERS, LEARNERS - 1)
    assert linked(lms) == LEARNERS - 1
    assert [row[0] for row in fetched(service, roster, "results.csv")[1:]] == [f"key{n}" for n in range(LEARNERS)]
    assert fetched(service, roster, "failed.csv")[1][:3] == ["key7", "nobody", "user-not-found"]
    event = queue()
    assert (event["source"], event["detail-type"]) == ("program-linking", "RosterFinished")
    assert (event["detail"]["roster_id"], event["detail"]["linked"]) == (roster["roster_id"], LEARNERS - 1)


def test_a_mail_at_the_end(service: Service, lms: Lms) -> None:
    """With a topic, a short mail says how a roster ended."""
    sns, sqs = service.aws.client("sns"), service.aws.client("sqs")
    topic = sns.create_topic(Name="rosters")["TopicArn"]
    url = sqs.create_queue(QueueName="mail")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**sender, "Resource": queue}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    service.deploy(RosterTopicArn=topic)
    try:
        ended(service, drop(service, lines(20, {"key7": "nobody"}))["roster_id"])
        mail = next_message(service, url)
    finally:
        service.deploy()
    assert mail["Subject"] == "Roster finished: nightly.csv"
    assert "Linked: 19, linked already: 0\nFailed: 1 (1 user-not-found)" in mail["Message"]


def test_too_many_failures_hold_it(service: Service, lms: Lms) -> None:
    """The whole roster is run dry first; above the threshold nothing is linked, at it all is."""
    changed = {f"key{n}": "nobody" for n in range(0, LEARNERS, 100)}
    held = ended(service, drop(service, lines(changed=changed), hold_above_percent="0.99")["roster_id"])
    assert (held["state"], held["failed"], linked(lms)) == ("held", {"user-not-found": 40}, 0)
    finished = ended(service, drop(service, lines(changed=changed), hold_above_percent="1")["roster_id"])
    assert (finished["state"], linked(lms)) == ("finished", LEARNERS - 40)


def test_a_database_that_stays_away(service: Service, lms: Lms) -> None:
    """A database that stays away ends the run as failed; once it is back, resuming links the rest."""
    lms.connection.close()
    service.cluster.stop()
    try:
        roster = ended(service, drop(service, lines(20))["roster_id"])
        assert roster["state"] == "failed"
        assert roster["message"].startswith("LinkingUnavailable: ")
    finally:
        service.cluster.start()
    assert service.send("POST", f"/rosters/{roster['roster_id']}/resume").json()["state"] == "linking"
    assert ended(service, roster["roster_id"])["linked"] == 20


def test_a_function_that_dies_midway(service: Service, lms: Lms) -> None:
    """If LinkFunction dies within a transaction, its request is sent again, and all its keys are linked once."""
    with service.lms() as other:
        other.run("BEGIN")
        other.run("LOCK TABLE program_enrollments_programenrollment")
        roster_id = drop(service, lines(20))["roster_id"]
        until_waiting(lms)
        kill(service, "LinkFunction")
        other.run("COMMIT")
    roster = ended(service, roster_id)
    assert (roster["state"], roster["linked"], roster["already_linked"]) == ("finished", 20, 0)
    assert linked(lms) == 20


def test_stopping_and_resuming(service: Service, lms: Lms) -> None:
    """A stop lets the requests under way end, and no further one start; resuming sends those that are left."""
    with service.lms() as other:
        other.run("BEGIN")
        other.run("LOCK TABLE program_enrollments_programenrollment")
        roster_id = drop(service, lines())["roster_id"]
        until_waiting(lms)
        assert service.send("POST", f"/rosters/{roster_id}/stop").json()["stopping"] is True
        other.run("COMMIT")
    stopped = ended(service, roster_id)
    assert stopped["state"] == "stopped"
    assert 0 < stopped["done"] == linked(lms) < LEARNERS
    outcomes = [row[2] for row in fetched(service, stopped, "results.csv")[1:]]
    assert outcomes.count("not-done") == LEARNERS - stopped["done"]
    assert service.send("POST", f"/rosters/{roster_id}/resume").status_code == 200
    assert ended(service, roster_id)["linked"] == LEARNERS


def test_the_command(service: Service, lms: Lms, command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A file that is handed in at a shell is followed to its end; what failed is corrected and handed in again."""
    file, errors = tmp_path / "roster.csv", tmp_path / "failed.csv"
    file.write_text(lines(20, {"key7": "nobody"}))
    status, out, _ = command("submit", PROGRAM, str(file), "--wait", "--errors", str(errors))
    assert (status, out.splitlines()[-1]) == (
        1,
        "20 of 20 keys: 19 linked, 0 linked already, 1 failed (1 user-not-found).",
    )
    assert "key7               nobody        user-not-found  No user found with username nobody" in out
    errors.write_text(errors.read_text().replace("key7,nobody", "key7,user7"))
    status, out, _ = command("submit", PROGRAM, str(errors))
    assert status == 0
    roster_id = out.split()[1]
    assert f"program-linking roster wait {roster_id} --url" in out
    status, out, _ = command("wait", roster_id)
    assert (status, linked(lms)) == (0, 20)
    status, out, _ = command("status", roster_id)
    assert (status, "state          finished\n" in out) == (0, True)
    status, out, _ = command("list", PROGRAM, "--most", "1")
    assert (status, out.splitlines()[1].split()[:2]) == (0, [roster_id, "finished"])
    status, out, err = command("stop", roster_id)
    assert (status, err) == (2, "The API answered 409: The roster is finished: there is nothing to stop.\n")


def test_enrollments(service: Service, lms: Lms, command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """Files of enrollments go by the command or into the bucket, into the program and into a course of it."""
    file, errors = tmp_path / "enrollments.csv", tmp_path / "failed.csv"
    keys = [f"new{n}" for n in range(LEARNERS)]
    file.write_text("\n".join(["student_key,status", *(f"{key},enrolled" for key in keys), "wrong,gone"]))
    kind = ["--kind", "enrollments", "--create", "--curriculum", CURRICULUM]
    status, out, _ = command("submit", PROGRAM, str(file), *kind, "--wait", "--errors", str(errors))
    assert (status, out.splitlines()[-1]) == (
        1,
        f"{LEARNERS + 1:,} of {LEARNERS + 1:,} keys: {LEARNERS:,} as asked for, 1 failed (1 invalid-status).",
    )
    assert "wrong        gone    invalid-status  There is no such status." in out
    assert errors.read_text() == (
        "student_key,status,code,message\nwrong,gone,invalid-status,There is no such status.\n"
    )
    assert lms.run("SELECT count(*) FROM program_enrollments_programenrollment") == [[2 * LEARNERS]]
    lms.course()
    lms.run(
        "UPDATE program_enrollments_programenrollment SET user_id = (SELECT min(id) FROM auth_user)"
        " WHERE external_user_key = 'new7'"
    )
    text = "".join(f"{key},active\n" for key in keys)
    roster = ended(service, drop(service, text, kind="enrollments", course_key=DEMO_COURSE)["roster_id"])
    assert (roster["state"], roster["written"], roster["failed"]) == ("finished", LEARNERS, {})
    assert lms.run("SELECT count(*), count(course_enrollment_id) FROM program_enrollments_programcourseenrollment") == [
        [LEARNERS, 1]
    ]


def test_a_kind_has_its_own_options(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """An option of the other kind of roster is refused, and a file is checked by the rules of its kind."""
    file = tmp_path / "enrollments.csv"
    file.write_text("student_key,status\nkey0,active\n")
    assert command("submit", PROGRAM, str(file), "--course", DEMO_COURSE)[0::2] == (
        2,
        "--kind links has no --course.\n",
    )
    _, _, err = command("submit", PROGRAM, str(file), "--kind", "enrollments", "--relink", "--ignore-case")
    assert err == "--kind enrollments has no --relink and no --ignore-case.\n"
    assert command("submit", PROGRAM, str(file), "--kind", "enrollments")[0::2] == (
        2,
        "Nothing was sent.\nline 2: a new enrollment needs a curriculum_uuid\n",
    )


def test_the_command_and_faults(
    service: Service, lms: Lms, command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """A file at fault is not sent; a roster that is held or refused ends with 2 and says why."""
    file = tmp_path / "roster.csv"
    file.write_text("key0,user0\nkey0,user1\n")
    status, _, err = command("submit", PROGRAM, str(file))
    assert (status, err.splitlines()[0]) == (2, "Nothing was sent.")
    refused = ended(service, drop(service, file.read_text())["roster_id"])
    status, _, err = command("wait", refused["roster_id"])
    assert status == 2
    assert "line 2: external user key key0 provided multiple times, first in line 1" in err
    file.write_text(lines(10, {"key7": "nobody"}))
    status, out, err = command("submit", PROGRAM, str(file), "--hold-above", "5", "--wait")
    assert (status, linked(lms)) == (2, 0)
    assert out.endswith(
        "Dry run, nothing was changed. 10 of 10 keys: 9 to link, 0 linked already, 1 failed (1 user-not-found).\n"
    )
    assert err.endswith("nothing was changed. Correct the file and submit it again.\n")
