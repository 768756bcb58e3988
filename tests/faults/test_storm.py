"""Many processes link the same keys and users at once, while the LMS goes on working."""

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
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

from local.lms import CURRICULUM, Lms
from tests.faults.support import IS_SOAK, open_transactions, rounds

PROCESSES = rounds(4, 16)
BATCHES = 40
BATCH_KEYS = 20
KEYS = 80
USERS = 240
DOOMED_USERS = 40
COURSES = [f"course-v1:edX+Storm{number}+2026" for number in range(6)]
SOAK_SECONDS = 600.0

# What the LMS does meanwhile, as Django would: each change with its row of history.
ENROLL = """
WITH changed AS (
    INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
    SELECT now(), true, :mode, :course_key, id FROM auth_user WHERE username = :username
    ON CONFLICT (user_id, course_id) DO UPDATE SET mode = excluded.mode, is_active = excluded.is_active
    RETURNING *, CASE WHEN xmax = 0 THEN '+' ELSE '~' END AS history_type
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), history_type
FROM changed
"""
DELETE_COURSES = """
WITH gone AS (
    DELETE FROM program_enrollments_programcourseenrollment AS course
    USING auth_user AS account, program_enrollments_programenrollment AS enrollment
    WHERE account.username = :username AND enrollment.user_id = account.id
    AND course.program_enrollment_id = enrollment.id
    RETURNING course.*
)
INSERT INTO program_enrollments_historicalprogramcourseenrollment (
    id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, history_date, history_type
)
SELECT id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, clock_timestamp(), '-'
FROM gone
"""
DELETE_ENROLLMENTS = """
WITH gone AS (
    DELETE FROM program_enrollments_programenrollment AS enrollment
    USING auth_user AS account
    WHERE account.username = :username AND enrollment.user_id = account.id
    RETURNING enrollment.*
)
INSERT INTO program_enrollments_historicalprogramenrollment (
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, history_date, history_type
)
SELECT
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), '-'
FROM gone
"""
DELETE_COURSE_ENROLLMENTS = """
WITH gone AS (
    DELETE FROM student_courseenrollment AS course_enrollment
    USING auth_user AS account
    WHERE account.username = :username AND course_enrollment.user_id = account.id
    RETURNING course_enrollment.*
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), '-'
FROM gone
"""
DELETE_USER = "DELETE FROM auth_user WHERE username = :username"
DELETE = [DELETE_COURSES, DELETE_ENROLLMENTS, DELETE_COURSE_ENROLLMENTS, DELETE_USER]

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
        for key in range(KEYS):
            courses = {COURSES[key % 6]: "active", COURSES[(key + 1) % 6]: randomness.choice(["active", "inactive"])}
            lms.enrollment(f"key-{key}", courses, program=program, curriculum=CURRICULUM)
    batches = [_batch(randomness, users, programs) for _ in range(BATCHES)]
    is_over = Event()
    with ThreadPoolExecutor() as pool, open_session() as first, open_session() as second:
        lms_at_work = [
            pool.submit(_work, session, random.Random(seed), users, is_over)  # noqa: S311 - likewise
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
    _check_rows(lms)
    return worked + Counter(
        waves=1,
        invocations=len(answers),
        keys=len(answers) * BATCH_KEYS,
        linked=sum(answer["linked"] for batch, answer in answers if not batches[batch]["dry_run"]),
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


def _storm(batches: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    """Link the batches in so many processes at once, each in its own order; return the number and answer of each."""
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


def _work(session: Connection, randomness: random.Random, users: list[str], is_over: Event) -> Counter[str]:
    """Enroll users in courses, several in a transaction, and now and then delete one, until it is over."""
    done: Counter[str] = Counter()
    while not is_over.is_set():
        try:
            session.run("BEGIN")
            if randomness.random() < 0.02:
                username = randomness.choice(users[:DOOMED_USERS])
                for statement in DELETE:
                    session.run(statement, username=username)
                what = "deletions"
            else:
                for username in randomness.sample(users, 3):
                    mode = randomness.choice(["audit", "honor", "verified"])
                    session.run(ENROLL, username=username, course_key=randomness.choice(COURSES), mode=mode)
                what = "enrollments"
            session.run("COMMIT")
        except DatabaseError as error:
            if error.args[0]["C"] not in {"40P01", "23503"}:  # a deadlock, or linked in the meantime
                raise
            session.run("ROLLBACK")
            what = "rollbacks of the LMS"
        done[what] += 1
    return done


def _check_answers(batches: list[dict[str, Any]], answers: list[tuple[int, Any]]) -> None:
    assert len(answers) == PROCESSES * BATCHES
    for number, answer in answers:
        assert isinstance(answer, dict), answer
        assert answer["program_uuid"] == batches[number]["program_uuid"]
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


def _check_winners(
    lms: Lms, program: str, batches: list[dict[str, Any]], answers: list[tuple[int, Any]], *, is_relinked: bool
) -> None:
    """Each claim in a key's history belongs to the answer that told of it, to the user that it named."""
    won: Counter[tuple[str, str]] = Counter()
    held: set[str] = set()
    for number, answer in answers:
        batch = batches[number]
        if batch["program_uuid"] == program and not batch["dry_run"]:
            for key, username in batch["external_keys_to_usernames"].items():
                won[key, username] += key not in answer["errors"]
                if answer["error_codes"].get(key) in {"already-linked", "conflict"}:
                    held.add(key)
    keys_won = Counter(key for key, _ in won.elements())
    claims = lms.run(
        "SELECT external_user_key, count(*) FROM program_enrollments_historicalprogramenrollment"
        " WHERE program_uuid = CAST(:program AS uuid) AND history_type = '~' GROUP BY 1",
        program=program,
    )
    assert dict(claims) == dict(keys_won)
    assert is_relinked or set(keys_won.values()) == {1}
    assert held <= set(keys_won)
    holders = lms.run(
        "SELECT external_user_key, username FROM program_enrollments_programenrollment"
        " JOIN auth_user ON auth_user.id = user_id WHERE program_uuid = CAST(:program AS uuid)",
        program=program,
    )
    assert set(map(tuple, holders)) <= set(won.elements())


def _check_rows(lms: Lms) -> None:
    for wrong in (LINKED_AND_WAITING, OTHERS_COURSE_ENROLLMENT, NOBODYS_ROWS, BORN_TWICE):
        assert lms.run(wrong) == []
    for table, history in HISTORIES.items():
        assert lms.run(UNTRUE_HISTORY.format(table=table, history=history)) == []
        assert lms.run(STANDING_HISTORY.format(history=history)) == []
        if table != "student_courseenrollment":  # whose history is numbered at random
            assert lms.run(UNORDERED_HISTORY.format(history=history)) == []
