"""How the command runs and ends: what it prints, its exit status, its batches, and what stops it."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from pg8000.native import Connection

from local.lms import DEMO_COURSE, Lms
from tests.command.support import Link, Start


def test_keys_linked_before_count_as_linked(lms: Lms, link: Link, tmp_path: Path) -> None:
    """A command that runs again counts what was linked to the same account before apart, and its status is 0."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    ended = link("student-001:alice", "--errors", str(tmp_path / "errors.csv"))
    assert ended.status == 0
    assert ended.out == (
        "external_user_key  lms_username  outcome         message\n"
        "student-001        alice         already-linked  Program enrollment with external_student_key=student-001 is"
        " already linked to target account username=alice\n"
        "1 of 1 keys: 0 linked, 1 linked already, 0 failed.\n"
    )
    assert (tmp_path / "errors.csv").read_text(encoding="utf-8") == "external_user_key,lms_username,code,message\n"


def test_many_keys_are_counted(lms: Lms, link: Link) -> None:
    """Above twenty keys, the table has only the failed ones."""
    for number in range(20):
        lms.user(f"user-{number}")
        lms.enrollment(f"student-{number}")
    ended = link(*(f"student-{number}:user-{number}" for number in range(20)), "student-020:nobody")
    assert ended.status == 1
    assert ended.out == (
        "external_user_key  lms_username  outcome         message\n"
        "student-020        nobody        user-not-found  No user found with username nobody\n"
        "21 of 21 keys: 20 linked, 0 linked already, 1 failed (1 user-not-found).\n"
    )


def test_a_few_keys_are_told(lms: Lms, link: Link) -> None:
    """Up to twenty keys, the table holds the linked ones too."""
    lms.user("alice")
    lms.enrollment("student-000")
    ended = link("student-000:alice", *(f"student-{number:03}:nobody" for number in range(1, 20)))
    assert "student-000        alice         linked\n" in ended.out


def test_many_linked_keys_need_no_table(lms: Lms, link: Link) -> None:
    """Above twenty keys, where none failed, the sum is all there is."""
    for number in range(21):
        lms.user(f"user-{number}")
        lms.enrollment(f"student-{number}")
    ended = link(*(f"student-{number}:user-{number}" for number in range(21)))
    assert ended == (0, "21 of 21 keys: 21 linked, 0 linked already, 0 failed.\n", "")


def test_failures_are_counted_by_code(lms: Lms, link: Link) -> None:
    """The sum counts the failures of each code, the most frequent first."""
    lms.user("alice")
    ended = link("student-001:alice", "student-002:nobody", "student-003:nobody")
    assert ended.out.endswith(
        "3 of 3 keys: 0 linked, 0 linked already, 3 failed (2 user-not-found, 1 not-in-program).\n"
    )


def test_a_terminal_is_safe(lms: Lms, link: Link) -> None:
    """Control characters of a key are spelt out in the table."""
    assert "student\\x1b[2J" in link("student\x1b[2J:alice").out


def test_kept_modes_and_pending_roles_are_told(lms: Lms, link: Link) -> None:
    """A course enrollment kept in its mode, and a role that stays pending, are reported on standard error."""
    lms.course_enrollment(lms.user("alice"), lms.course(), "verified")
    lms.role_assignment(lms.enrollment("student-001", [DEMO_COURSE]), DEMO_COURSE)
    lms.run("ALTER TABLE student_courseaccessrole ADD CONSTRAINT no_staff CHECK (role <> 'staff')")
    ended = link("student-001:alice")
    assert ended.status == 0
    assert ended.err == (
        f"Course enrollment 1 in {DEMO_COURSE} was kept in its mode, verified.\n"
        'Course role assignment 1 stays pending: new row for relation "student_courseaccessrole" violates check'
        ' constraint "no_staff"\n'
    )


@pytest.mark.slow
def test_a_process_of_its_own(lms: Lms, link_process: Start) -> None:
    """The command runs from the layer only, and writes in ASCII what its terminal's encoding lacks."""
    lms.user("zoë")
    lms.enrollment("étudiant")
    with link_process("étudiant:zoë", PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[1] == "\\xe9tudiant           zo\\xeb           linked"


@pytest.mark.slow
def test_imports_of_the_command(lms: Lms, link_process: Start) -> None:
    """Without --url, neither Powertools, an HTTP client nor an AWS SDK is imported."""
    with link_process("student-001:alice", PYTHONPROFILEIMPORTTIME="1") as process:
        _, err = process.communicate()
    assert "pg8000" in err
    assert not [name for name in ("botocore", "httpx", "boto3", "aws_lambda_powertools") if name in err]


def test_a_database_without_tables(lms: Lms, link: Link) -> None:
    """Where the database lacks a table, the status is 2 and standard error names it."""
    lms.run("DROP TABLE student_courseenrollment_history")
    ended = link("student-001:alice")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("The database lacks student_courseenrollment_history. Run ")


def test_a_reader_who_has_seen_enough(lms: Lms, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard output is closed early, as `| head` does, the status is as ever and there is no traceback."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as closed:  # it is flushed at the end, as at the end of a process
        monkeypatch.setattr(sys, "stdout", closed)
        ended = link(*(f"student-{number}:nobody" for number in range(2000)))
    assert (ended.status, ended.err) == (1, "")


LINES = 10_001


@pytest.fixture
def locked(lms: Lms, two_batches: Path, other_session: Connection) -> Connection:
    """A session that keeps the second batch waiting until its transaction ends."""
    other_session.run("BEGIN")
    other_session.run(
        "SELECT FROM program_enrollments_programenrollment WHERE external_user_key = 'student-10000' FOR UPDATE"
    )
    return other_session


@pytest.fixture
def two_batches(lms: Lms, tmp_path: Path) -> Path:
    """A roster of one key more than a batch takes, the first and the last of which can be linked."""
    roster = tmp_path / "roster.csv"
    roster.write_text(
        "".join(f"student-{number},user-{number}\n" for number in range(LINES)),
        encoding="utf-8",
    )
    for number in (0, LINES - 1):
        lms.user(f"user-{number}")
        lms.enrollment(f"student-{number}")
    return roster


def test_batches(lms: Lms, link: Link, two_batches: Path, tmp_path: Path) -> None:
    """A file larger than a batch is linked whole, and its failed lines keep their order."""
    ended = link("--csv", str(two_batches), "--errors", str(tmp_path / "errors.csv"))
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.splitlines()[-2] == (
        "10,001 of 10,001 keys: 2 linked, 0 linked already, 9,999 failed (9,999 user-not-found)."
    )
    lines = (tmp_path / "errors.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10_000
    assert (lines[1][:19], lines[-1][:25]) == ("student-1,user-1,us", "student-9999,user-9999,us")


def test_a_bar_on_a_terminal(lms: Lms, link: Link, two_batches: Path) -> None:
    """On a terminal, a file of more than 2,000 keys has a bar on standard error, with the rate and the time left."""
    shown = on_terminal(link, "--csv", str(two_batches))
    assert "2,000 of 10,001 keys" in shown
    assert "10,001 of 10,001 keys" in shown
    assert re.search(r"[0-9,]+ keys/s", shown)
    assert re.search(r"0:00:0[0-9]", shown)


def test_no_bar_for_a_few_keys(lms: Lms, link: Link, two_batches: Path) -> None:
    """Up to 2,000 keys have no bar."""
    lines = two_batches.read_text(encoding="utf-8").splitlines(keepends=True)
    two_batches.write_text("".join(lines[:2_000]), encoding="utf-8")
    assert on_terminal(link, "--csv", str(two_batches)) == ""


def test_a_note_on_a_terminal(lms: Lms, link: Link) -> None:
    """On a terminal, what is reported on standard error stands above the bar."""
    lms.course_enrollment(lms.user("alice"), lms.course(), "verified")
    lms.enrollment("student-001", [DEMO_COURSE])
    assert on_terminal(link, "student-001:alice") == (
        f"Course enrollment 1 in {DEMO_COURSE} was kept in its mode, verified.\r\n"
    )


def on_terminal(link: Link, *arguments: str) -> str:
    """Run the command with a terminal for its standard error; return what came there."""
    ours, theirs = os.openpty()
    with (
        os.fdopen(ours, "rb", buffering=0) as shown,
        os.fdopen(theirs, "w") as terminal,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stderr", terminal)
        link(*arguments)
        terminal.write("$")  # so that there is something to read
        terminal.flush()
        return shown.read(10_000).decode().removesuffix("$")


def wait_for_lock(session: Connection) -> int:
    """Wait until the command waits for a row; return the id of its server process."""
    for _ in range(200):
        rows = session.run(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if rows:
            return int(rows[0][0])
        time.sleep(0.05)
    raise TimeoutError


def test_interrupted(lms: Lms, locked: Connection, link: Link, link_process: Start, two_batches: Path) -> None:
    """Ctrl-C says how many keys were done, keeps those, and the same command again does the rest."""
    errors = two_batches.with_name("errors.csv")
    with link_process("--csv", str(two_batches), "--errors", str(errors)) as process:
        wait_for_lock(lms.connection)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert out.splitlines()[-1] == (
        "10,000 of 10,001 keys: 1 linked, 0 linked already, 9,999 failed (9,999 user-not-found)."
    )
    assert err == (
        "Interrupted with 10,000 keys done; the batch under way may be done too.\n"
        "Run the same command again: what is linked already stays so.\n"
    )
    assert len(errors.read_text(encoding="utf-8").splitlines()) == 10_000
    locked.run("ROLLBACK")
    assert link("--csv", str(two_batches)).out.splitlines()[-1] == (
        "10,001 of 10,001 keys: 1 linked, 1 linked already, 9,999 failed (9,999 user-not-found)."
    )


def test_a_connection_lost(lms: Lms, locked: Connection, link_process: Start, two_batches: Path) -> None:
    """A connection that is cut between batches ends the command with status 2, what was done, and what to do."""
    with link_process("--csv", str(two_batches)) as process:
        lms.run("SELECT pg_terminate_backend(:pid)", pid=wait_for_lock(lms.connection))
        out, err = process.communicate()
    locked.run("ROLLBACK")
    assert process.returncode == 2
    assert out.splitlines()[-1].startswith("10,000 of 10,001 keys: 1 linked, ")
    assert err.startswith("The connection to the database was lost: ")
    assert err.endswith(".\nRun the same command again: what is linked already stays so.\n")


def test_help(link: Link) -> None:
    """The help of a verb describes each argument, and ends with an example."""
    ended = link("--help")
    assert ended.out.startswith("Usage: program-linking link [OPTIONS] ")
    assert "--errors FILE" in ended.out
    assert ended.out.endswith(
        "Example: program-linking link 5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10 --csv\n  roster.csv --errors failed.csv\n"
    )
