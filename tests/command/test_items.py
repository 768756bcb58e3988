"""KEY:USERNAME arguments, as Open edX's management command takes them."""

import pytest

from local.lms import CURRICULUM, Lms
from tests.command.support import Ended, Link


def test_items_are_linked(lms: Lms, link: Link) -> None:
    """Each KEY:USERNAME argument is linked, and the status is 0."""
    users = [lms.user("alice"), lms.user("bob")]
    lms.enrollment("student-001")
    lms.enrollment("student-002")
    assert link("student-001:alice", "student-002:bob") == Ended(
        status=0,
        out="external_user_key  lms_username  outcome  message\n"
        "student-001        alice         linked\n"
        "student-002        bob           linked\n"
        "2 of 2 keys: 2 linked, 0 linked already, 0 failed.\n",
        err="",
    )
    assert lms.rows("program_enrollments_programenrollment", "external_user_key, user_id") == [
        ["student-001", users[0]],
        ["student-002", users[1]],
    ]


def test_spaces_around_an_item_are_trimmed(lms: Lms, link: Link) -> None:
    """Spaces around a key and around a username do not count."""
    lms.user("alice")
    lms.enrollment("student 001")
    assert link(" student 001 : alice ").status == 0


def test_a_key_may_hold_colons(lms: Lms, link: Link) -> None:
    """An item is split at its last colon."""
    lms.user("alice")
    lms.enrollment("urn:mit:001")
    assert link("urn:mit:001:alice").status == 0


def test_a_key_may_begin_with_a_hyphen(lms: Lms, link: Link) -> None:
    """What follows `--` is an item, whatever it begins with."""
    lms.user("alice")
    lms.enrollment("-001")
    assert link("--", "-001:alice").status == 0


def test_items_may_stand_before_and_after_options(lms: Lms, link: Link) -> None:
    """Options and items mix."""
    lms.user("alice")
    lms.user("bob")
    lms.enrollment("student-001")
    lms.enrollment("student-002")
    assert "2 to link" in link("student-001:alice", "--dry-run", "student-002:bob").out


@pytest.mark.parametrize("item", ["whoops", "whoops: ", " :whoops", ":", ""])
def test_a_malformed_item_is_refused(link: Link, item: str) -> None:
    """An item without a colon, or with a blank part, is refused in Open edX's words and nothing is sent."""
    ended = link("student-001:alice", item)
    assert ended == Ended(
        status=2,
        out="",
        err="Nothing was sent.\n"
        f"item 2: incorrectly formatted argument '{item}', must be in form <external user key>:<lms username>\n",
    )


def test_a_repeated_key_is_refused(link: Link) -> None:
    """A key that is given twice is refused in Open edX's words."""
    ended = link("student-001:alice", "student-002:bob", " student-001 :carol")
    assert (ended.status, ended.err) == (
        2,
        "Nothing was sent.\nitem 3: external user key student-001 provided multiple times, first in item 1\n",
    )


def test_a_bad_program_uuid_is_refused(link: Link) -> None:
    """A program that is not a UUID is refused in Open edX's words."""
    ended = link("student-001:alice", program="notauuid::thisisntauuid")
    assert ended.status == 2
    assert ended.err.endswith(
        "supplied program_uuid 'notauuid::thisisntauuid' is not a valid UUID\nTry 'program-linking link --help'.\n"
    )


def test_a_bad_curriculum_uuid_is_refused(link: Link) -> None:
    """A curriculum that is not a UUID is refused likewise."""
    ended = link("student-001:alice", "--curriculum", "MBA")
    assert ended.status == 2
    assert ended.err.endswith(
        "supplied curriculum_uuid 'MBA' is not a valid UUID\nTry 'program-linking link --help'.\n"
    )


def test_nothing_to_link_is_refused(link: Link) -> None:
    """A command that names neither items nor a file is refused."""
    ended = link()
    assert ended.status == 2
    assert ended.err.endswith("Give either KEY:USERNAME items or --csv FILE.\n")


def test_items_beside_a_file_are_refused(link: Link) -> None:
    """A command that names both items and a file is refused."""
    assert link("student-001:alice", "--csv", "roster.csv").status == 2


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("k" * 256 + ":alice", "external_user_key is longer than 255 characters"),
        ("student-001:" + "u" * 151, "lms_username is longer than 150 characters"),
        ("student\0001:alice", "external_user_key has a NUL character"),
        ("student-001:al\0ice", "lms_username has a NUL character"),
        ("student\udcff:alice", "external_user_key has a lone surrogate, which is not a character"),
        ("student-001:al\udcffice", "lms_username has a lone surrogate, which is not a character"),
    ],
)
def test_what_the_service_would_refuse_is_refused(link: Link, item: str, fault: str) -> None:
    """A value that is too long, or that PostgreSQL cannot hold, is refused before anything is sent."""
    ended = link(item)
    assert (ended.status, ended.err) == (2, f"Nothing was sent.\nitem 1: {fault}\n")


def test_the_longest_values_are_taken(lms: Lms, link: Link) -> None:
    """A key of 255 characters and a username of 150 are linked."""
    lms.user("é" * 150)
    lms.enrollment("é" * 255)
    assert link("é" * 255 + ":" + "é" * 150).status == 0


def test_only_the_curriculum_asked_for(lms: Lms, link: Link) -> None:
    """With --curriculum, only enrollments of that curriculum are linked."""
    user_id = lms.user("alice")
    lms.enrollment("student-001")
    lms.enrollment("student-001", curriculum="c0ffee00-0000-4000-8000-000000000002")
    assert link("student-001:alice", "--curriculum", CURRICULUM.upper()).status == 0
    assert lms.rows("program_enrollments_programenrollment", "id, user_id") == [[1, user_id], [2, None]]


def test_relink(lms: Lms, link: Link) -> None:
    """With --relink, an enrollment changes its account; without, the key fails and the status is 1."""
    alice, bob = lms.user("alice"), lms.user("bob")
    lms.enrollment("student-001", user_id=alice)
    refused = link("student-001:bob")
    assert refused.status == 1
    assert refused.out.endswith("1 of 1 keys: 0 linked, 0 linked already, 1 failed (1 conflict).\n")
    assert link("student-001:bob", "--relink").status == 0
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[bob]]


def test_ignore_case(lms: Lms, link: Link) -> None:
    """With --ignore-case, a key matches whatever its case; without, it is not in the program."""
    lms.user("alice")
    lms.enrollment("Student-001")
    assert "not-in-program" in link("STUDENT-001:alice").out
    assert link("STUDENT-001:alice", "--ignore-case").status == 0


def test_keys_of_either_case(lms: Lms, link: Link) -> None:
    """Without --ignore-case, two keys that differ only in case are two keys."""
    lms.user("alice")
    lms.user("bob")
    lms.enrollment("student-001")
    lms.enrollment("Student-001")
    assert link("student-001:alice", "Student-001:bob").status == 0


def test_keys_that_differ_in_case_alone(link: Link) -> None:
    """With --ignore-case, two keys that differ only in case are refused."""
    ended = link("student-001:alice", "Student-001:bob", "--ignore-case")
    assert (ended.status, ended.err) == (
        2,
        "Nothing was sent.\nitem 2: external user key Student-001 differs only in case from student-001 in item 1\n",
    )


def test_a_dry_run_changes_nothing(lms: Lms, link: Link) -> None:
    """With --dry-run, the table and the status are those of a real run, and no row changes."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    ended = link("student-001:alice", "student-002:nobody", "--dry-run")
    assert ended == Ended(
        status=1,
        out="external_user_key  lms_username  outcome         message\n"
        "student-001        alice         to link\n"
        "student-002        nobody        user-not-found  No user found with username nobody\n"
        "Dry run, nothing was changed. 2 of 2 keys: 1 to link, 0 linked already, 1 failed (1 user-not-found).\n",
        err="",
    )
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[None]]
    assert lms.rows("student_courseenrollment") == []
