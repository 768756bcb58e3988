"""Many processes link and enroll the same keys and users at once, while the LMS goes on working."""

import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from pg8000.native import Connection

from local.lms import CURRICULUM, Lms
from tests.faults.lms_at_work import work
from tests.faults.support import IS_SOAK, open_transactions, rounds

PROCESSES = rounds(2, 16)
BATCHES = 40
ENROLLING_BATCHES = 16
BATCH_KEYS = 20
KEYS = 80
LATE_KEYS = 20  # of which the first batch that enrolls them makes the enrollments
STATUSES = ["enrolled", "pending", "suspended", "canceled", "ended"]
USERS = 240
COURSES = [f"course-v1:edX+Storm{number}+2026" for number in range(6)]
SOAK_SECONDS = 600.0

# What must not be found when the storm is over.
LINKED_AND_WAITING = """
SELECT enrollment.id
FROM program_enrollments_programenrollment AS enrollment
JOIN program_enrollments_programcourseenrollment AS course ON course.program_enrollment_id = enrollment.id
WHERE (enrollment.user_id IS NULL) <> (course.course_enrollment_id IS NULL)
"""
OTHERS_COURSE_ENROLLMENT = """
SELECT course.id
FROM program_enrollments_programcourseenrollment AS course
JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = course.program_enrollment_id
LEFT JOIN student_courseenrollment AS course_enrollment ON course_enrollment.id = course.course_enrollment_id
WHERE course.course_enrollment_id IS NOT NULL
AND (course_enrollment.user_id, course_enrollment.course_id) IS DISTINCT FROM (enrollment.user_id, course.course_key)
"""
NOBODYS_ROWS = """
SELECT user_id FROM student_courseenrollment WHERE user_id NOT IN (SELECT id FROM auth_user)
UNION SELECT user_id FROM program_enrollments_programenrollment WHERE user_id NOT IN (SELECT id FROM auth_user)
"""
HISTORIES = {
    "program_enrollments_programenrollment": "program_enrollments_historicalprogramenrollment",
    "program_enrollments_programcourseenrollment": "program_enrollments_historicalprogramcourseenrollment",
    "student_courseenrollment": "student_courseenrollment_history",
}
UNTRUE_HISTORY = """
SELECT last.id, to_jsonb(last), to_jsonb(present)
FROM (SELECT DISTINCT ON (id) * FROM {history} ORDER BY id, history_date DESC) AS last
LEFT JOIN {table} AS present ON present.id = last.id
WHERE CASE WHEN present.id IS NULL THEN last.history_type <> '-' ELSE NOT to_jsonb(last) @> to_jsonb(present) END
"""
STANDING_HISTORY = "SELECT id FROM {history} GROUP BY id HAVING count(*) <> count(DISTINCT history_date)"
UNORDERED_HISTORY = """
SELECT id FROM (
    SELECT id, history_date, lag(history_date) OVER (PARTITION BY id ORDER BY history_id) AS former FROM {history}
) AS ordered WHERE history_date <= former
"""
TWICE = """
SELECT lower(external_user_key) FROM program_enrollments_programenrollment
GROUP BY 1, program_uuid, curriculum_uuid HAVING count(*) > 1
UNION SELECT CAST(program_enrollment_id AS text) FROM program_enrollments_programcourseenrollment
GROUP BY program_enrollment_id, course_key HAVING count(*) > 1
UNION SELECT CAST(user_id AS text) FROM student_courseenrollment GROUP BY user_id, course_id HAVING count(*) > 1
"""
# What became of each enrollment of a program, change by change, and what it was before each of them.
CHANGES = """
SELECT
    id, external_user_key, history_type, user_id, status, lag(user_id) OVER changes AS former_user_id,
    coalesce(lag(status) OVER changes, CASE history_type WHEN '~' THEN 'enrolled' END) AS former_status
FROM program_enrollments_historicalprogramenrollment
WHERE program_uuid = CAST(:program AS uuid)
WINDOW changes AS (PARTITION BY id ORDER BY history_id)
"""
CLAIMS = f"""
SELECT external_user_key, count(*), count(DISTINCT id) FROM ({CHANGES}) AS change
WHERE history_type = '~' AND user_id IS DISTINCT FROM former_user_id GROUP BY 1
"""
STATUS_CHANGES = f"""
SELECT external_user_key, status FROM ({CHANGES}) AS change
WHERE history_type IN ('+', '~') AND status IS DISTINCT FROM former_status
"""
BORN_TWICE = "SELECT id FROM student_courseenrollment_history WHERE history_type = '+' GROUP BY id HAVING count(*) <> 1"


@pytest.mark.storm
def test_a_storm_leaves_order(
    lms: Lms, open_session: Callable[[], Connection], record_property: Callable[[str, object], None]
) -> None:
    """No fault reaches a caller, each key has one winner, and rows and history agree, however much goes on at once."""
    for course_key in COURSES:
        lms.course(course_key)
    figures: Counter[str] = Counter()
    started = time.monotonic()
    while not figures or (IS_SOAK and time.monotonic() - started < SOAK_SECONDS):
        figures += _wave(lms, open_session, figures["waves"])
    lms.run("SELECT pg_stat_force_next_flush()")
    [[deadlocks]] = lms.run("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    record_property(
        "figures",
        f"{PROCESSES} processes, {time.monotonic() - started:.0f} s, {deadlocks} deadlocks, {dict(figures)}",
    )


def _wave(lms: Lms, open_session: Callable[[], Connection], number: int) -> Counter[str]:
    """One storm over keys and users of its own; check what it leaves and count what happened."""
    randomness = random.Random(number)  # noqa: S311 - not a secret
    users = [f"user-{number}-{each}" for each in range(USERS)]
    for username in users:
        lms.user(username)
    programs = {str(uuid.UUID(int=2 * number)): False, str(uuid.UUID(int=2 * number + 1)): True}
    for program in programs:
        for key in range(KEYS - LATE_KEYS):
            courses = {COURSES[key % 6]: "active", COURSES[(key + 1) % 6]: randomness.choice(["active", "inactive"])}
            lms.enrollment(f"key-{key}", courses, program=program, curriculum=CURRICULUM)
    batches = [_batch(randomness, users, programs) for _ in range(BATCHES)]
    batches += [_enrolling_batch(randomness, list(programs)) for _ in range(ENROLLING_BATCHES)]
    is_over = Event()
    with ThreadPoolExecutor() as pool, open_session() as first, open_session() as second:
        lms_at_work = [
            pool.submit(work, session, random.Random(seed), users, COURSES, is_over)  # noqa: S311 - likewise
            for seed, session in enumerate([first, second])
        ]
        try:
            answers = _storm(batches)
        finally:
            is_over.set()
        worked = sum((each.result() for each in lms_at_work), Counter[str]())
    assert open_transactions(lms) == []
    _check_answers(batches, answers)
    for program, is_relinked in programs.items():
        _check_winners(lms, program, batches, answers, is_relinked=is_relinked)
        _check_statuses(lms, program, batches, answers)
    _check_rows(lms)
    return worked + Counter(
        waves=1,
        invocations=len(answers),
        keys=len(answers) * BATCH_KEYS,
        linked=sum(answer.get("linked", 0) for batch, answer in answers if not batches[batch]["dry_run"]),
        written=sum(_written(batches[batch], answer) for batch, answer in answers if not batches[batch]["dry_run"]),
    )


def _batch(randomness: random.Random, users: list[str], programs: dict[str, bool]) -> dict[str, Any]:
    program = randomness.choices(list(programs), [1, 3])[0]
    keys = randomness.sample(range(KEYS), BATCH_KEYS)
    return {
        "program_uuid": program,
        "external_keys_to_usernames": {f"key-{key}": randomness.choice(users) for key in keys},
        "relink": programs[program] and randomness.random() < 0.9,
        "dry_run": randomness.random() < 0.1,
        "ignore_case": randomness.random() < 0.1,
    }


def _enrolling_batch(randomness: random.Random, programs: list[str]) -> dict[str, Any]:
    keys = [f"key-{key}" for key in randomness.sample(range(KEYS), BATCH_KEYS)]
    way = {"create": True, "update": True, "dry_run": randomness.random() < 0.1}
    if randomness.random() < 0.5:
        rows = [
            {"student_key": key, "status": randomness.choice(STATUSES), "curriculum_uuid": CURRICULUM} for key in keys
        ]
        return {"program_uuid": randomness.choice(programs), "enrollments": rows, **way}
    rows = [{"student_key": key, "status": randomness.choice(["active", "inactive"])} for key in keys]
    course_key = randomness.choice(COURSES)
    return {"program_uuid": randomness.choice(programs), "course_key": course_key, "enrollments": rows, **way}


def _storm(batches: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    """Send the batches from so many processes at once, each in its own order; return the number and answer of each."""
    command = [sys.executable, "-m", "tests.faults.storm"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen([*command, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        for seed in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    with ThreadPoolExecutor(PROCESSES) as pool:
        outputs = list(pool.map(lambda process: process.communicate(json.dumps(batches).encode())[0], processes))
    return [(number, answer) for output in outputs for number, answer in json.loads(output.splitlines()[-1])]


def _check_answers(batches: list[dict[str, Any]], answers: list[tuple[int, Any]]) -> None:
    assert len(answers) == PROCESSES * len(batches)
    for number, answer in answers:
        assert isinstance(answer, dict), answer
        assert answer["program_uuid"] == batches[number]["program_uuid"]
        if "enrollments" in batches[number]:
            _check_statuses_answered(batches[number], answer["statuses"])
            continue
        assert answer["linked"] + len(answer["errors"]) == BATCH_KEYS
        assert set(answer["errors"]) == set(answer["error_codes"])
        assert set(answer["errors"]) <= set(batches[number]["external_keys_to_usernames"])
        assert set(answer["error_codes"].values()) <= {
            "user-not-found",
            "not-in-program",
            "already-linked",
            "conflict",
            "integrity-error",
        }


def _check_statuses_answered(batch: dict[str, Any], statuses: dict[str, str]) -> None:
    verdicts = {"conflict", "not-in-program", "internal-error"} if "course_key" in batch else set()
    assert list(statuses) == [row["student_key"] for row in batch["enrollments"]]
    for row in batch["enrollments"]:
        assert statuses[row["student_key"]] in {row["status"], *verdicts}


def _written(batch: dict[str, Any], answer: dict[str, Any]) -> int:
    """How many keys have the status that was asked for."""
    statuses = answer.get("statuses", {})
    return sum(statuses[row["student_key"]] == row["status"] for row in batch.get("enrollments", ()))


def _check_winners(
    lms: Lms, program: str, batches: list[dict[str, Any]], answers: list[tuple[int, Any]], *, is_relinked: bool
) -> None:
    """Each claim in a key's history belongs to the answer that reported it, to the user that it named."""
    won: Counter[tuple[str, str]] = Counter()
    held: set[str] = set()
    for number, answer in answers:
        batch = batches[number]
        if batch["program_uuid"] == program and not batch["dry_run"] and "enrollments" not in batch:
            for key, username in batch["external_keys_to_usernames"].items():
                won[key, username] += key not in answer["errors"]
                if answer["error_codes"].get(key) in {"already-linked", "conflict"}:
                    held.add(key)
    keys_won = Counter(key for key, _ in won.elements())
    claims = lms.run(CLAIMS, program=program)
    assert {key: count for key, count, _ in claims} == dict(keys_won)
    assert is_relinked or all(count == enrollments for _, count, enrollments in claims)
    assert held <= set(keys_won)
    holders = lms.run(
        "SELECT external_user_key, username FROM program_enrollments_programenrollment"
        " JOIN auth_user ON auth_user.id = user_id WHERE program_uuid = CAST(:program AS uuid)",
        program=program,
    )
    assert set(map(tuple, holders)) <= set(won.elements())


def _check_statuses(lms: Lms, program: str, batches: list[dict[str, Any]], answers: list[tuple[int, Any]]) -> None:
    """Each change of a status belongs to an answer that reported it, and each status that was reported was there."""
    reported: Counter[tuple[str, str]] = Counter()
    for number, answer in answers:
        batch = batches[number]
        is_of_program = batch["program_uuid"] == program and "course_key" not in batch
        if is_of_program and not batch["dry_run"]:
            reported.update(answer.get("statuses", {}).items())
    changes = Counter(map(tuple, lms.run(STATUS_CHANGES, program=program)))
    assert changes <= reported
    at_first = {(f"key-{key}", "enrolled") for key in range(KEYS - LATE_KEYS)}
    assert set(reported) <= set(changes) | at_first


def _check_rows(lms: Lms) -> None:
    for wrong in (TWICE, LINKED_AND_WAITING, OTHERS_COURSE_ENROLLMENT, NOBODYS_ROWS, BORN_TWICE):
        assert lms.run(wrong) == []
    for table, history in HISTORIES.items():
        assert lms.run(UNTRUE_HISTORY.format(table=table, history=history)) == []
        assert lms.run(STANDING_HISTORY.format(history=history)) == []
        if table != "student_courseenrollment":  # whose history is numbered at random
            assert lms.run(UNORDERED_HISTORY.format(history=history)) == []
