"""Reading in an LMS, as the service's role."""

from collections.abc import Iterator
from typing import Any

import pytest
from pg8000.native import Connection

from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments import (
    LinkingUnavailable,
    NoSuchLearner,
    connect,
    link_program_enrollments,
    read_enrollments,
    read_learner,
    read_programs,
)
from program_enrollments.postgres.session import close

OTHER_PROGRAM = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"
OTHER_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"


@pytest.fixture
def service(lms: Lms) -> Iterator[Connection]:
    """A connection as the role that the service has."""
    connection = connect()
    yield connection
    close(connection)


def keys(lms: Lms, *names: str) -> None:
    """Add waiting enrollments."""
    for name in names:
        lms.enrollment(name)


def test_programs_have_their_numbers(lms: Lms, service: Connection) -> None:
    """Each program has the numbers of its enrollments, of the linked and of the waiting ones; no program, no row."""
    assert read_programs(service) == []
    lms.enrollment("student-001", user_id=lms.user("alice"))
    keys(lms, "student-002", "student-003")
    lms.enrollment("MBA/1", program=OTHER_PROGRAM)
    assert read_programs(service) == [
        {"program_uuid": PROGRAM, "enrollments": 3, "linked": 1, "waiting": 2},
        {"program_uuid": OTHER_PROGRAM, "enrollments": 1, "linked": 0, "waiting": 1},
    ]


def test_an_enrollment_has_its_fields(lms: Lms, service: Connection) -> None:
    """Linked and waiting enrollments have the fields of Open edX's API, with times in UTC whatever the time zone is."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    lms.enrollment("student-002")
    service.run("SET TimeZone = 'Asia/Kolkata'")
    common = {"status": "enrolled", "curriculum_uuid": CURRICULUM}
    times = {"created": "2026-01-01T00:00:00+00:00", "modified": "2026-01-01T00:00:00+00:00"}
    assert read_enrollments(service, PROGRAM).results == [
        {"student_key": "student-001", "account_exists": True, "username": "alice", **common, **times},
        {"student_key": "student-002", "account_exists": False, "username": None, **common, **times},
    ]


def test_pages_hold_all_rows_once_in_either_direction(lms: Lms, service: Connection) -> None:
    """Page after page, each enrollment of the program comes once, and page before page the same ones again."""
    names = [f"student-{number}" for number in range(7)]
    for name in names:
        lms.enrollment(name)
        lms.enrollment(name, program=OTHER_PROGRAM)
    pages = [read_enrollments(service, PROGRAM, page_size=3)]
    while (after := pages[-1].next_after) is not None:
        pages.append(read_enrollments(service, PROGRAM, page_size=3, after=after))
    assert [[row["student_key"] for row in page.results] for page in pages] == [names[:3], names[3:6], names[6:]]
    assert pages[0].previous_before is None

    back = [pages[-1]]
    while (before := back[-1].previous_before) is not None:
        back.append(read_enrollments(service, PROGRAM, page_size=3, before=before))
    assert [page.results for page in reversed(back)] == [page.results for page in pages]
    assert read_enrollments(service, PROGRAM, page_size=3, after=back[1].next_after).results == pages[2].results


def test_a_page_that_is_just_full_is_the_last(lms: Lms, service: Connection) -> None:
    """If nothing follows a full page, it has no next one."""
    keys(lms, "student-001", "student-002")
    page = read_enrollments(service, PROGRAM, page_size=2)
    assert (len(page.results), page.next_after, page.previous_before) == (2, None, None)


def test_rows_that_come_and_go_move_no_page(lms: Lms, service: Connection) -> None:
    """An enrollment that is deleted or added between two pages makes no other one come twice or not at all."""
    keys(lms, "student-001", "student-002", "student-003", "student-004")
    first = read_enrollments(service, PROGRAM, page_size=2)
    lms.run("DELETE FROM program_enrollments_programenrollment WHERE external_user_key = 'student-001'")
    keys(lms, "student-005")
    second = read_enrollments(service, PROGRAM, page_size=3, after=first.next_after)
    assert [row["student_key"] for row in second.results] == ["student-003", "student-004", "student-005"]
    lms.run("DELETE FROM program_enrollments_programenrollment")
    beyond = read_enrollments(service, PROGRAM, after=first.next_after)
    assert (beyond.results, beyond.next_after) == ([], None)
    assert beyond.previous_before is not None
    assert read_enrollments(service, PROGRAM, before=beyond.previous_before).results == []


def test_filters_narrow(lms: Lms, service: Connection) -> None:
    """Each filter leaves out the rest, in all pages; filters together leave out what any of them does."""
    lms.enrollment("linked", user_id=lms.user("alice"))
    lms.enrollment("waiting")
    lms.enrollment("elsewhere", curriculum=OTHER_CURRICULUM)
    lms.enrollment("canceled")
    lms.run("UPDATE program_enrollments_programenrollment SET status = 'canceled' WHERE external_user_key = 'canceled'")

    def found(**filters: object) -> list[str | None]:
        return [row["student_key"] for row in read_enrollments(service, PROGRAM, **filters).results]  # type: ignore[arg-type]

    assert found() == ["linked", "waiting", "elsewhere", "canceled"]
    assert found(waiting=True) == ["waiting", "elsewhere", "canceled"]
    assert found(waiting=False) == ["linked"]
    assert found(status="canceled") == ["canceled"]
    assert found(curriculum_uuid=OTHER_CURRICULUM) == ["elsewhere"]
    assert found(waiting=True, status="enrolled", curriculum_uuid=CURRICULUM) == ["waiting"]
    assert found(status="ended") == []


def test_a_program_that_has_no_enrollment(lms: Lms, service: Connection) -> None:
    """A program without enrollments is an empty page: only the catalog knows which programs there are."""
    assert read_enrollments(service, PROGRAM) == ([], None, None)


def test_a_page_that_cannot_be_is_refused(service: Connection) -> None:
    """A page has 1 to 1,000 rows, and lies either after or before an id."""
    for page_size in (0, 1_001):
        with pytest.raises(ValueError, match="page_size"):
            read_enrollments(service, PROGRAM, page_size=page_size)
    with pytest.raises(ValueError, match="either after an id or before one"):
        read_enrollments(service, PROGRAM, after=1, before=1)
    with pytest.raises(ValueError, match="UUID"):
        read_enrollments(service, "no-uuid")


def test_a_learner_has_all_that_belongs_to_the_key(lms: Lms, service: Connection) -> None:
    """A key's enrollment has its holder, its courses with what the LMS has of them, pending roles, and histories."""
    lms.user("heidi")
    lms.course()
    pending = lms.enrollment("student-001", {DEMO_COURSE: "active", "course-v1:edX+Gone+2026": "inactive"})
    lms.run("DELETE FROM program_enrollments_programcourseenrollment WHERE status = 'inactive'")
    link_program_enrollments(lms.connection, PROGRAM, {"student-001": "heidi"})
    lms.role_assignment(pending, DEMO_COURSE)

    learner = read_learner(service, external_user_key="student-001")
    assert learner["account"] is None
    [enrollment] = learner["enrollments"]
    [course] = enrollment["courses"]
    entered = course["course_enrollment"]
    assert entered is not None
    assert (enrollment["program_uuid"], enrollment["curriculum_uuid"]) == (PROGRAM, CURRICULUM)
    assert (enrollment["external_user_key"], enrollment["status"]) == ("student-001", "enrolled")
    assert enrollment["holder"] == {"username": "heidi", "is_active": True}
    assert (course["course_key"], course["status"], course["course_exists"]) == (DEMO_COURSE, "active", True)
    assert (entered["username"], entered["mode"], entered["is_active"]) == ("heidi", "masters", True)
    assert course["pending_roles"] == ["staff"]
    assert [change["what"] for change in entered["history"]] == ["created"]
    assert entered["history"][0]["changes"] == {
        "mode": {"before": None, "after": "masters"},
        "is_active": {"before": None, "after": True},
    }
    assert enrollment["history"][0]["changes"]["holder"] == {"after": "heidi"}
    [changed] = course["history"]
    assert changed["changes"]["has_course_enrollment"] == {"after": True}
    assert [finding["code"] for finding in learner["findings"]] == ["roles-wait"]


def test_a_history_names_accounts(lms: Lms, service: Connection) -> None:
    """Histories name who held an enrollment and who changed it; an account that is gone is named as deleted."""
    heidi, admin = lms.user("heidi"), lms.user("admin")
    enrollment_id = lms.enrollment("student-001", user_id=heidi)
    lms.run(f"""
        INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key,
            program_uuid, curriculum_uuid, status, user_id, history_user_id, history_date, history_type)
        SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, past.user_id,
            past.who, past.at, past.type
        FROM program_enrollments_programenrollment,
            (VALUES (NULL, {admin}, '2026-01-01Z'::timestamptz, '+'), (987654, NULL, '2026-01-02Z', '~'),
                ({heidi}, NULL, '2026-01-03Z', '~')) AS past (user_id, who, at, type)
        WHERE program_enrollments_programenrollment.id = {enrollment_id}
    """)
    linked, earlier, created = read_learner(service, username="heidi")["enrollments"][0]["history"]
    assert linked["changes"] == {"holder": {"before": "(deleted)", "after": "heidi"}}
    assert earlier["changes"] == {"holder": {"before": None, "after": "(deleted)"}}
    assert (created["who"], created["what"], created["when"]) == ("admin", "created", "2026-01-01T00:00:00+00:00")


def test_a_key_is_found_in_each_program_and_curriculum(lms: Lms, service: Connection) -> None:
    """A key's enrollments in all programs are read, or those in the one that is asked for."""
    lms.enrollment("student-001")
    lms.enrollment("student-001", curriculum=OTHER_CURRICULUM)
    lms.enrollment("student-001", program=OTHER_PROGRAM)
    lms.enrollment("student-002")
    assert len(read_learner(service, external_user_key="student-001")["enrollments"]) == 3
    [only] = read_learner(service, external_user_key="student-001", program_uuid=OTHER_PROGRAM)["enrollments"]
    assert only["program_uuid"] == OTHER_PROGRAM


def test_an_account_is_found_by_its_username(lms: Lms, service: Connection) -> None:
    """An account has the enrollments that it holds; one that holds none is there all the same."""
    lms.enrollment("student-001", user_id=lms.user("heidi", is_active=False))
    lms.user("grace")
    heidi, grace = (read_learner(service, username=username) for username in ("heidi", "grace"))
    assert heidi["account"] == {"username": "heidi", "is_active": False}
    assert [enrollment["external_user_key"] for enrollment in heidi["enrollments"]] == ["student-001"]
    assert (grace["account"], grace["enrollments"]) == ({"username": "grace", "is_active": True}, [])
    assert [finding["code"] for finding in grace["findings"]] == ["account-without-program"]


def test_other_keys_of_the_learner(lms: Lms, service: Connection) -> None:
    """Keys of the same program that differ only in case, and other keys of the same account, are named."""
    heidi = lms.user("heidi")
    lms.enrollment("Straße-1", user_id=heidi)
    lms.enrollment("STRAßE-1")
    lms.enrollment("STRASSE-1")
    lms.enrollment("straße-1", program=OTHER_PROGRAM)
    lms.enrollment("old-key", user_id=heidi, curriculum=OTHER_CURRICULUM)
    lms.enrollment("another-program", user_id=heidi, program=OTHER_PROGRAM)
    [enrollment] = read_learner(service, external_user_key="Straße-1")["enrollments"]
    assert enrollment["similar_keys"] == ["STRAßE-1"]
    assert enrollment["other_keys"] == ["old-key"]


def test_a_learner_who_is_not_there(lms: Lms, service: Connection) -> None:
    """An unknown key or username is no answer; keys that differ only in case are named if the program is known."""
    lms.enrollment("Student-001")
    with pytest.raises(NoSuchLearner) as unknown:
        read_learner(service, external_user_key="student-001", program_uuid=PROGRAM)
    assert unknown.value.similar_keys == ["Student-001"]
    questions: list[dict[str, Any]] = [{"external_user_key": "student-001"}, {"username": "nobody"}]
    for question in questions:
        with pytest.raises(NoSuchLearner) as unknown:
            read_learner(service, **question)
        assert unknown.value.similar_keys == []


def test_a_key_is_taken_literally(lms: Lms, service: Connection) -> None:
    """A key finds itself and nothing else, whatever PostgreSQL or its driver might read in it."""
    literals = ["key", " key ", "null", "NULL", "{}", '"', "a\\b", "a'b", "%", "student-001", "student_001", "λ/1+2"]
    keys(lms, *literals)
    for literal in literals:
        [enrollment] = read_learner(service, external_user_key=literal)["enrollments"]
        assert enrollment["external_user_key"] == literal


def test_a_question_that_cannot_be_is_refused(service: Connection) -> None:
    """A learner is asked for by one key or one username, within the limits of linking."""
    refused: dict[str, list[dict[str, Any]]] = {
        "either": [{}, {"external_user_key": "a", "username": "a"}],
        "external_user_key": [{"external_user_key": key} for key in ("", "a\0", "a\ud800", "a" * 256, 7)],
        "username": [{"username": "a" * 151}, {"username": 7}],
        "UUID": [{"username": "a", "program_uuid": "no-uuid"}],
    }
    for words, questions in refused.items():
        for question in questions:
            with pytest.raises(ValueError, match=words):
                read_learner(service, **question)


def test_reading_writes_nothing(lms: Lms, service: Connection) -> None:
    """What a verb runs is in a transaction that can only read."""
    lms.run("""
        ALTER TABLE program_enrollments_programenrollment RENAME TO real_table;
        CREATE FUNCTION write() RETURNS SETOF real_table LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            INSERT INTO auth_user (username) VALUES ('mallory');
        END $$;
        CREATE VIEW program_enrollments_programenrollment AS SELECT * FROM write();
        GRANT SELECT ON program_enrollments_programenrollment TO public
    """)
    with pytest.raises(Exception, match="read-only transaction"):
        read_programs(service)


def test_reading_ends_with_its_time(lms: Lms, service: Connection, other_session: Connection) -> None:
    """A reading that has to wait ends with the time that it was given, and says so."""
    other_session.run("BEGIN; LOCK TABLE program_enrollments_programenrollment")
    with pytest.raises(LinkingUnavailable, match="did not answer in time"):
        read_programs(service, seconds=0.5)
    other_session.run("ROLLBACK")
    assert read_programs(service) == []
