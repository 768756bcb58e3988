"""`program-linking enroll`: lines of a file become enrollments, in a database or by the API."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_linking.main import run
from tests.command.support import Api, Ended

type Enroll = Callable[..., Ended]

OTHER_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"


@pytest.fixture
def enroll(lms: Lms, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Enroll:
    """The command in this process, with a file of these lines."""

    def enroll(lines: str, *arguments: str) -> Ended:
        file = tmp_path / "enrollments.csv"
        file.write_text(lines)
        return Ended(run(["enroll", PROGRAM, "--csv", str(file), *arguments]), *capsys.readouterr())

    return enroll


def enrollments(lms: Lms) -> list[list[str]]:
    """Key, curriculum (1 or 2) and status of each program enrollment."""
    return lms.run(
        "SELECT external_user_key, right(curriculum_uuid::text, 1)::integer, status"
        " FROM program_enrollments_programenrollment ORDER BY 1, 2"
    )


def places(lms: Lms) -> list[list[str]]:
    """Key and status of each program-course enrollment."""
    return lms.run(
        "SELECT external_user_key, course.status FROM program_enrollments_programcourseenrollment AS course"
        " JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id ORDER BY 1"
    )


def test_new_keys(lms: Lms, enroll: Enroll) -> None:
    """Lines become enrollments in their own curriculum or the usual one, and the command says how many."""
    lines = f"Student Key;Status;curriculum\ns1;enrolled;\ns2;pending;{OTHER_CURRICULUM}\n"
    assert enroll(lines, "--create", "--curriculum", CURRICULUM) == Ended(
        0,
        "student_key  asked for  outcome\n"
        "s1           enrolled   enrolled\n"
        "s2           pending    pending\n"
        "2 of 2 keys: 2 as asked for, 0 failed.\n",
        "",
    )
    assert enrollments(lms) == [["s1", 1, "enrolled"], ["s2", 2, "pending"]]


def test_verdicts(lms: Lms, enroll: Enroll, tmp_path: Path) -> None:
    """Lines that failed are shown and written with their verdicts, as a file that can be corrected and sent again."""
    lms.enrollment("s1")
    failed = tmp_path / "failed.csv"
    ended = enroll("student_key,status\ns1,ended\ns2,ended\ns3,gone\n", "--update", "--errors", str(failed))
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.endswith("3 of 3 keys: 1 as asked for, 2 failed (1 not-in-program, 1 invalid-status).\n")
    assert failed.read_text() == (
        "student_key,status,curriculum_uuid,code\ns2,ended,,not-in-program\ns3,gone,,invalid-status\n"
    )
    corrected = failed.read_text().replace("gone", "ended")
    assert enroll(corrected, "--curriculum", CURRICULUM).status == 0
    assert enrollments(lms) == [["s1", 1, "ended"], ["s2", 1, "ended"], ["s3", 1, "ended"]]


@pytest.mark.parametrize("by_api", [False, True])
def test_courses(lms: Lms, enroll: Enroll, gateway: str, *, by_api: bool) -> None:
    """With a course, lines become places in it, with or without its staff role, and again by the API."""
    lms.course()
    for key in ("s1", "s2"):
        lms.enrollment(key)
    way = ["--course", DEMO_COURSE, *(["--url", gateway] if by_api else [])]
    assert enroll("student_key,status,course_staff\ns1,active,TRUE\ns2,inactive,\n", *way).status == 0
    assert places(lms) == [["s1", "active"], ["s2", "inactive"]]
    assert len(lms.rows("program_enrollments_courseaccessroleassignment")) == 1
    again = enroll("student_key,status,course_staff\ns1,active,false\ns2,active,\n", *way, "--create")
    assert again.out.endswith("2 of 2 keys: 0 as asked for, 2 failed (2 conflict).\n")


def test_by_the_api(lms: Lms, enroll: Enroll, gateway: str) -> None:
    """By the API the same happens as in a database; a dry run changes nothing."""
    lines = "student_key,status\ns1,enrolled\n"
    way = ["--url", gateway, "--curriculum", CURRICULUM]
    ended = enroll(lines, *way, "--dry-run")
    assert (ended.status, enrollments(lms)) == (0, [])
    assert ended.out.endswith("Dry run, nothing was changed. 1 of 1 keys: 1 as asked for, 0 failed.\n")
    assert enroll(lines, *way).status == 0
    assert enrollments(lms) == [["s1", 1, "enrolled"]]


@pytest.mark.parametrize(
    ("lines", "arguments", "reason"),
    [
        ("", [], "the file is empty"),
        ("student_key,status\n", [], "the file has a header and no line after it"),
        ("student_key\ns1\n", [], "line 1: the header lacks status"),
        ("student_key,status\ns1,enrolled\n", [], "line 2: a new enrollment needs a curriculum_uuid"),
        ("student_key,status\ns1,ended\nS1,ended\n", ["--update"], "line 3: student key S1 provided multiple times"),
        ("student_key,status\ns1,\n", ["--update"], "line 2: both values are needed: student_key,status"),
        ("student_key,status,curriculum_uuid\ns1,ended,x\n", [], "line 2: curriculum_uuid x is not a UUID"),
        ("student_key,status,course_staff\ns1,active,yes\n", ["--course", "c"], "line 2: course_staff is neither"),
        ("PK\x03\x04", [], "save it as CSV"),
    ],
)
def test_faults_of_a_file(lms: Lms, enroll: Enroll, lines: str, arguments: list[str], reason: str) -> None:
    """A file with a fault is refused whole, with what is wrong and where."""
    ended = enroll(lines, *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("Nothing was sent.\n")
    assert reason in ended.err
    assert enrollments(lms) == []


def test_an_unknown_course(lms: Lms, enroll: Enroll) -> None:
    """A course that the LMS does not know stops the command with one sentence."""
    ended = enroll("student_key,status\ns1,active\n", "--course", "course-v1:No+Such+Course")
    assert ended == Ended(2, "", "The LMS does not know the course course-v1:No+Such+Course: nothing was written.\n")


def test_what_cannot_be_a_provider(lms: Lms, enroll: Enroll) -> None:
    """A slug that no provider can have is refused, and nothing is written."""
    for slug in ("", "uni:", "\udcff"):
        ended = enroll(f"student_key,status,curriculum_uuid\ns1,enrolled,{CURRICULUM}\n", "--idp", slug)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("Invalid value for '--idp': idp ")
    assert enrollments(lms) == []


def test_files_of_the_run_before(lms: Lms, enroll: Enroll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing was done, `--errors` leaves its file as it was; if the table cannot be shown, it is written."""
    failed = tmp_path / "failed.csv"
    failed.write_text("of the run before")
    lines = "student_key,status\ns1,active\n"
    assert enroll(lines, "--course", "course-v1:No+Such+Course", "--errors", str(failed)).status == 2
    assert failed.read_text() == "of the run before"
    lms.course()
    with Path("/dev/full").open("w") as full, monkeypatch.context() as streams:
        streams.setattr("sys.stdout", full)
        ended = enroll(lines, "--course", DEMO_COURSE, "--errors", str(failed))
    assert (ended.status, ended.err) == (2, "Standard output cannot be written: No space left on device.\n")
    assert failed.read_text().endswith("s1,active,,,not-in-program\n")


@pytest.mark.parametrize("answer", [[], {}, {"another": "enrolled"}, {"s1": {}}, {"s1": "enrolled", "s2": "enrolled"}])
def test_another_answer(enroll: Enroll, api: Api, answer: object) -> None:
    """An answer that is not about each line that was sent is not the API's."""
    api.will_answer(200, answer)
    ended = enroll("student_key,status\ns1,enrolled\n", "--curriculum", CURRICULUM, "--create", "--url", api.url)
    assert ended == Ended(2, "", "What answered is not the linking API. Look at --url.\n")


@pytest.mark.slow
def test_halves_of_what_is_too_large(lms: Lms, enroll: Enroll, gateway: str) -> None:
    """Lines that are too many for a request of the API, by the length of their keys, go in several."""
    keys = [f"{number:05}{'é' * 250}" for number in range(9_000)]
    lines = "".join(f"{key},enrolled\n" for key in keys)
    ended = enroll(f"student_key,status\n{lines}", "--url", gateway, "--curriculum", CURRICULUM, "--dry-run")
    assert (ended.status, ended.err) == (0, "")
    assert "9,000 of 9,000 keys: 9,000 as asked for" in ended.out


def test_idp_is_for_programs(enroll: Enroll) -> None:
    """An identity provider together with a course is refused."""
    ended = enroll("student_key,status\ns1,active\n", "--course", "c", "--idp", "uni")
    assert (ended.status, ended.err) == (2, "--idp is for new enrollments in a program, not in a course.\n")
