"""`program-linking show`: the same in a database and by the API."""

import csv
import io
from collections.abc import Callable

import pytest

from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments import link_program_enrollments
from program_linking.main import run
from tests.command.support import Api, Ended

OTHER_PROGRAM = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"

type Show = Callable[..., Ended]


@pytest.fixture(params=["database", "api"])
def show(request: pytest.FixtureRequest, lms: Lms, gateway: str, capsys: pytest.CaptureFixture[str]) -> Show:
    """The command, which reads the database itself or asks the service."""
    source = ["--url", gateway] if request.param == "api" else []

    def show(*arguments: str) -> Ended:
        status = run(["show", *arguments, *source])
        out, err = capsys.readouterr()
        # In this process, the service logs to the standard output too.
        return Ended(status, "".join(line for line in out.splitlines(keepends=True) if not line.startswith("{")), err)

    return show


def test_programs(lms: Lms, show: Show) -> None:
    """Without a program or a learner, all programs are shown with their numbers."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    lms.enrollment("student-002")
    shown = show()
    assert (shown.status, shown.err) == (0, "")
    assert [line.split() for line in shown.out.splitlines()] == [
        ["program_uuid", "enrollments", "linked", "waiting"],
        [PROGRAM, "2", "1", "1"],
    ]


def test_enrollments(lms: Lms, show: Show) -> None:
    """A program's enrollments are shown as a table and as CSV, all or the waiting ones, over all pages."""
    lms.enrollment("linked", user_id=lms.user("alice"))
    lms.run(f"""
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status)
        SELECT '2026-01-01Z', '2026-01-01Z', 'comma, ' || n, '{PROGRAM}', '{CURRICULUM}', 'enrolled'
        FROM generate_series(1, 1500) AS n
    """)
    table = show(PROGRAM).out.splitlines()
    assert table[0].split() == [
        *("student_key", "status", "account_exists", "curriculum_uuid", "username", "created", "modified")
    ]
    assert table[1].split()[:5] == ["linked", "enrolled", "true", CURRICULUM, "alice"]
    assert table[-1] == "1,501 enrollments: 1 linked, 1,500 waiting."
    rows = list(csv.DictReader(io.StringIO(show(PROGRAM, "--waiting", "--csv").out)))
    assert [row["student_key"] for row in rows] == [f"comma, {n}" for n in range(1, 1501)]
    assert rows[0] == {
        "student_key": "comma, 1",
        "status": "enrolled",
        "account_exists": "false",
        "curriculum_uuid": CURRICULUM,
        "username": "",
        "created": "2026-01-01T00:00:00+00:00",
        "modified": "2026-01-01T00:00:00+00:00",
    }
    assert show(OTHER_PROGRAM).out.splitlines()[-1] == "0 enrollments: 0 linked, 0 waiting."


def test_a_learner(lms: Lms, show: Show) -> None:
    """A learner is shown with enrollments, courses, changes and findings; invisible characters are spelt out."""
    lms.user("alice")
    lms.course()
    enrollment = lms.enrollment("tab\tkey", [DEMO_COURSE])
    link_program_enrollments(lms.connection, PROGRAM, {"tab\tkey": "alice"})
    lms.role_assignment(enrollment, DEMO_COURSE)
    shown = show("--key", "tab\tkey")
    assert (shown.status, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0:2] == [
        r"Key tab\tkey: enrolled, held by alice",
        f"Program {PROGRAM}, curriculum {CURRICULUM}",
    ]
    assert lines[3].split() == [DEMO_COURSE, "active", "masters,", "active", "staff"]
    assert [line.split()[2:4] for line in lines[5:8]] == [
        [DEMO_COURSE, "in"],
        [DEMO_COURSE, "created;"],
        ["program", "enrollment"],
    ]
    assert lines[6].endswith("created; mode: (none) -> masters; is_active: (none) -> true")
    assert lines[9].startswith(f"roles-wait: alice does not have the role staff in the course {DEMO_COURSE} yet")
    assert lines[10].startswith("Activate the account")
    assert show("--username", "alice").out.splitlines()[0] == "Account alice, program enrollments: 1"
    assert show("--key", "tab\tkey", "--program", PROGRAM).out == shown.out


def test_a_learner_with_nothing_to_do(lms: Lms, show: Show) -> None:
    """If nothing is amiss, that is said."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    assert show("--username", "alice").out.splitlines()[-1] == "Nothing is amiss, and nothing waits."


def test_a_learner_who_is_not_there(lms: Lms, show: Show) -> None:
    """A learner who is not there ends the command with status 2 and one sentence; similar keys are named."""
    lms.enrollment("Student-001")
    assert show("--username", "nobody") == (2, "", "No account has this username.\n")
    assert show("--key", "student-001") == (2, "", "No enrollment has this external user key.\n")
    assert show("--key", "student-001", "--program", PROGRAM).err == (
        "No enrollment has this external user key. Differing only in case, there is Student-001.\n"
    )
    assert show("--key", "Student-001", "--program", OTHER_PROGRAM).status == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--key", "a", "--username", "b"], "Give either --key or --username."),
        (["--key", ""], "--key is empty."),
        (["--key", "a" * 256], "--key is longer than 255 characters."),
        (["--username", "\udcff"], "--username has a lone surrogate, which is not a character."),
        ([PROGRAM, "--key", "a"], "Show either a program or a learner; --program says in which program a learner is"),
        (["--key", "a", "--csv"], "Show either a program or a learner; --program says in which program a learner is"),
        ([PROGRAM, "--program", PROGRAM], "--program is for a learner: give --key or --username too."),
        (["--waiting"], "--waiting and --csv are for the enrollments of a program: name it."),
        (["--csv"], "--waiting and --csv are for the enrollments of a program: name it."),
        (["no-uuid"], "supplied program_uuid 'no-uuid' is not a valid UUID"),
    ],
)
def test_a_question_that_cannot_be_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be asked is refused with one sentence before anything is reached."""
    assert run(["show", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], [PROGRAM], ["--key", "a"]])
@pytest.mark.parametrize("answer", [b"<html>", b"[" * 100_000, [], {}, {"results": 1, "programs": 1}])
def test_something_else_at_the_url(
    api: Api, arguments: list[str], answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that is none of this API's ends the command with one sentence."""
    api.will_answer(200, answer)
    assert run(["show", *arguments, "--url", api.url]) == 2
    assert capsys.readouterr().err == "What answered is not the linking API. Look at --url.\n"
