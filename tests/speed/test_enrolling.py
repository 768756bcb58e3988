"""What writing enrollments costs on the wire does not grow with the number of rows, or with what is wrong with them."""

import os
from collections.abc import Iterator

import pytest

from lambda_runtime.connection import forget_connection
from local.lms import CURRICULUM, DEMO_COURSE, Lms
from local.proxy import Proxy, proxy
from tests.enrolling.conftest import Row, write_directly

MOST = 20


@pytest.fixture
def wire(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way of the service to its database, counted; the connection is warm."""
    lms.course()
    with proxy(os.environ["PGHOST"], int(os.environ["PGPORT"])) as wire:
        for name, value in wire.environment.items():
            monkeypatch.setenv(name, value)
        write_directly("POST", program_rows(1, "warm"))
        wire.round_trips = 0
        yield wire
        forget_connection()


def program_rows(size: int, prefix: str, status: str = "enrolled") -> list[Row]:
    """Rows of a program."""
    return [
        {"student_key": f"{prefix}-{number}", "status": status, "curriculum_uuid": CURRICULUM} for number in range(size)
    ]


@pytest.mark.parametrize("size", [10, 2_000])
def test_rows_of_a_program(wire: Proxy, size: int) -> None:
    """Rows that are made and rows that are changed take at most 20 round trips, however many there are."""
    for method, status in (("POST", "enrolled"), ("PATCH", "ended")):
        wire.round_trips = 0
        assert set(write_directly(method, program_rows(size, "s", status)).values()) == {status}
        assert wire.round_trips <= MOST


@pytest.mark.parametrize("size", [10, 2_000])
def test_rows_of_a_course(lms: Lms, wire: Proxy, size: int) -> None:
    """Rows of a course take at most 20 round trips, also if each account has two keys and every third is refused."""
    lms.run(
        """
        INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff, is_superuser, is_active,
            date_joined)
        SELECT 'u' || number, '', '', '', '', false, false, true, now() FROM generate_series(0, :last) AS number
    """,
        last=size // 2,
    )
    lms.run(
        """
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
        SELECT now(), now(), 's-' || number, '5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10',
            ('c0ffee00-0000-4000-8000-00000000000' || number % 2)::uuid, 'enrolled',
            (SELECT id FROM auth_user WHERE username = 'u' || number / 2)
        FROM generate_series(0, :last) AS number
    """,
        last=size - 1,
    )
    lms.run("ALTER TABLE program_enrollments_programcourseenrollment ADD CHECK (program_enrollment_id % 3 <> 0)")
    rows: list[Row] = [{"student_key": f"s-{number}", "status": "active"} for number in range(size)]
    statuses = list(write_directly("PUT", rows, DEMO_COURSE).values())
    assert abs(statuses.count("internal-error") - size / 3) <= 1
    assert wire.round_trips <= MOST
