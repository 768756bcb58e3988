"""The files that report on a run: written beside and renamed, with each line that was asked for."""

import os
from pathlib import Path

import pytest

from local.lms import Lms
from tests.command.support import Api, Link

CONTENT = "of an earlier run\n"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A folder with the reports of an earlier run."""
    for name in ("errors.csv", "results.csv"):
        (tmp_path / name).write_text(CONTENT, encoding="utf-8")
    return tmp_path


def test_results_have_every_line(lms: Lms, link: Link, tmp_path: Path) -> None:
    """`--results` has each line with its outcome, in the roster's order, and can be sent again as it is."""
    lms.user("alice")
    lms.enrollment("a", user_id=lms.user("bob"))
    lms.enrollment("b")
    file = tmp_path / "results.csv"
    assert link("c:nobody", "b:alice", "a:bob", "--results", str(file)).status == 1
    assert file.read_text(encoding="utf-8") == (
        "external_user_key,lms_username,outcome,code,message\n"
        "c,nobody,failed,user-not-found,No user found with username nobody\n"
        "b,alice,linked,,\n"
        "a,bob,already-linked,already-linked,"
        "Program enrollment with external_student_key=a is already linked to target account username=bob\n"
    )
    assert "2 linked already, 1 failed" in link("--csv", str(file)).out


def test_results_of_a_run_that_stopped(link: Link, api: Api, tmp_path: Path) -> None:
    """If the command stops halfway, `--results` says what was not done, and `--errors` has what failed so far."""
    api.will_answer(413, {})
    api.will_answer(200, {"errors": {"a": "No"}, "error_codes": {"a": "conflict"}})
    api.will_answer(500, {})
    files = ["--results", str(tmp_path / "results.csv"), "--errors", str(tmp_path / "errors.csv")]
    ended = link("a:u", "b:u", "--url", api.url, *files)
    assert ended.status == 2
    assert ended.err.endswith("\nRun the same command again: what is linked already stays so.\n")
    assert "Correct" not in ended.out
    assert (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        "a,u,failed,conflict,No",
        "b,u,not-done,,",
    ]
    assert (tmp_path / "errors.csv").read_text(encoding="utf-8").splitlines()[1:] == ["a,u,conflict,No"]


def test_reports_of_an_earlier_run_stay(link: Link, api: Api, reports: Path) -> None:
    """If nothing was done, the files of an earlier run stay as they were, and nothing is left beside them."""
    api.will_answer(500, {})
    files = ["--results", str(reports / "results.csv"), "--errors", str(reports / "errors.csv")]
    ended = link("a:u", "--url", api.url, *files)
    assert (ended.status, ended.out) == (2, "")
    assert {path.name: path.read_text(encoding="utf-8") for path in reports.iterdir()} == {
        "errors.csv": CONTENT,
        "results.csv": CONTENT,
    }


def test_a_report_that_cannot_be_written(lms: Lms, link: Link, reports: Path) -> None:
    """The table is shown and the other report written, though one cannot be; the status is 2."""
    errors = reports / "errors.csv"
    ended = link("a:nobody", "--results", "/dev/full", "--errors", str(errors))
    assert ended.status == 2
    assert "user-not-found" in ended.out
    assert ended.err.startswith("/dev/full cannot be written: No space left on device.\n")
    assert errors.read_text(encoding="utf-8") != CONTENT


def test_a_report_behind_a_link(lms: Lms, link: Link, reports: Path) -> None:
    """A symbolic link stays one, a file keeps who may read it, and a pipe is written as it is."""
    (reports / "link.csv").symlink_to("errors.csv")
    (reports / "errors.csv").chmod(0o600)
    link("a:nobody", "--errors", str(reports / "link.csv"))
    assert (reports / "link.csv").is_symlink()
    assert (reports / "errors.csv").stat().st_mode & 0o777 == 0o600
    assert (reports / "errors.csv").read_text(encoding="utf-8").startswith("external_user_key,")
    read, write = os.pipe()
    link("a:nobody", "--errors", f"/dev/fd/{write}")
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.readline() == "external_user_key,lms_username,code,message\n"


@pytest.mark.parametrize("names", [("errors", "csv"), ("results", "csv"), ("errors", "results")])
def test_reports_over_one_another(link: Link, reports: Path, names: tuple[str, str]) -> None:
    """No report overwrites the roster or the other report."""
    one, other = names
    files = [f"--{one}", str(reports / "errors.csv"), f"--{other}", str(reports / "." / "errors.csv")]
    ended = link(*(["a:u"] if other != "csv" else []), *files)
    assert ended.status == 2
    assert (reports / "errors.csv").read_text(encoding="utf-8") == CONTENT
