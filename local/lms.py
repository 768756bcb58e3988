"""An LMS to link in: rows of Open edX's tables, as the tests, the benchmarks and the sample roster need them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pg8000.native import Connection, identifier

PROGRAM = "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10"
CURRICULUM = "c0ffee00-0000-4000-8000-000000000001"
DEMO_COURSE = "course-v1:edX+DemoX+2026"


@dataclass(frozen=True)
class Lms:
    """Writes and reads an LMS's rows over a connection of its own, each call committed by itself."""

    connection: Connection

    def user(self, username: str, *, is_active: bool = True) -> int:
        """Add an account; return its id."""
        return self.users([username], is_active=is_active)[username]

    def users(self, usernames: Sequence[str], *, is_active: bool = True) -> dict[str, int]:
        """Add accounts; return the id of each username."""
        rows = [{"username": username, "is_active": is_active, **_ACCOUNT} for username in usernames]
        return dict(zip(usernames, self._insert("auth_user", rows), strict=True))

    def course(self, course_key: str = DEMO_COURSE, modes: Mapping[str, str | None] | None = None) -> str:
        """Add a course run that offers the modes, each with when it expires (None: never); return its key."""
        self.courses([course_key], modes)
        return course_key

    def courses(self, course_keys: Sequence[str], modes: Mapping[str, str | None] | None = None) -> None:
        """Add course runs that offer the same modes."""
        self._insert("course_overviews_courseoverview", [{"id": key, **_OVERVIEW} for key in course_keys])
        offers = [
            {"course_id": key, "mode_slug": slug, "expiration_datetime": expires, **_MODE}
            for key in course_keys
            for slug, expires in (modes or {}).items()
        ]
        self._insert("course_modes_coursemode", offers)

    def enrollment(
        self,
        key: str,
        courses: Mapping[str, str] | Sequence[str] = (),
        *,
        user_id: int | None = None,
        program: str = PROGRAM,
        curriculum: str = CURRICULUM,
    ) -> int:
        """Add a program enrollment and its program-course enrollments (course key to status); return its id."""
        holders = {} if user_id is None else {key: user_id}
        return self.enrollments({key: courses}, holders, program=program, curriculum=curriculum)[key]

    def enrollments(
        self,
        keys: Mapping[str, Mapping[str, str] | Sequence[str]],
        holders: Mapping[str, int] | None = None,
        *,
        program: str = PROGRAM,
        curriculum: str = CURRICULUM,
    ) -> dict[str, int]:
        """Add program enrollments, each key with its courses, held by users or waiting; return the id of each key."""
        common = {"program_uuid": program, "curriculum_uuid": curriculum, "status": "enrolled", **_TIMES}
        rows = [{"external_user_key": key, "user_id": (holders or {}).get(key), **common} for key in keys]
        ids = dict(zip(keys, self._insert("program_enrollments_programenrollment", rows), strict=True))
        statuses = [
            {"program_enrollment_id": ids[key], "course_key": course_key, "status": status, **_TIMES}
            for key, courses in keys.items()
            for course_key, status in (
                courses if isinstance(courses, Mapping) else dict.fromkeys(courses, "active")
            ).items()
        ]
        self._insert("program_enrollments_programcourseenrollment", statuses)
        return ids

    def course_enrollment(self, user_id: int, course_key: str, mode: str, *, is_active: bool = True) -> int:
        """Add the LMS's own enrollment of a user in a course; return its id."""
        row = {
            "user_id": user_id,
            "course_id": course_key,
            "mode": mode,
            "is_active": is_active,
            "created": _TIMES["created"],
        }
        return int(self._insert("student_courseenrollment", [row])[0])

    def role_assignment(self, enrollment_id: int, course_key: str, role: str = "staff") -> int:
        """Add a pending course role to a program-course enrollment; return its id."""
        [[course_enrollment_id]] = self.run(
            "SELECT id FROM program_enrollments_programcourseenrollment"
            " WHERE program_enrollment_id = :enrollment_id AND course_key = :course_key",
            enrollment_id=enrollment_id,
            course_key=course_key,
        )
        row = {"enrollment_id": course_enrollment_id, "role": role, **_TIMES}
        return int(self._insert("program_enrollments_courseaccessroleassignment", [row])[0])

    def rows(self, table: str, columns: str = "*") -> list[list[Any]]:
        """All rows of a table, in the order of their columns."""
        return self.run(f"SELECT {columns} FROM {identifier(table)} ORDER BY {columns if columns != '*' else 1}")

    def run(self, sql: str, **parameters: object) -> list[list[Any]]:
        """Run SQL; return its rows."""
        return list(self.connection.run(sql, **parameters) or ())

    def _insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> list[Any]:
        """Add rows with the same columns in one statement; return their ids."""
        if not rows:
            return []
        columns = ", ".join(map(identifier, rows[0]))
        inserted = self.run(
            f"INSERT INTO {table} ({columns})"
            f" SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb)) RETURNING id",
            rows=json.dumps(rows, ensure_ascii=False),
        )
        return [row_id for [row_id] in inserted]


# What a table wants to have in each row, and linking does not look at.
_TIMES = {"created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z"}
_ACCOUNT = {
    "password": "!",
    "first_name": "",
    "last_name": "",
    "email": "",
    "is_staff": False,
    "is_superuser": False,
    "date_joined": "2026-01-01T00:00:00Z",
}
_MODE = {
    "mode_display_name": "",
    "min_price": 0,
    "currency": "usd",
    "expiration_datetime_is_explicit": False,
    "suggested_prices": "",
}
_OVERVIEW = {
    "version": 1,
    "_location": "",
    "org": "",
    "display_number_with_default": "",
    "display_org_with_default": "",
    "banner_image_url": "",
    "course_image_url": "",
    "certificates_show_before_end": False,
    "cert_html_view_enabled": False,
    "has_any_active_web_certificate": False,
    "cert_name_short": "",
    "cert_name_long": "",
    "mobile_available": False,
    "visible_to_staff_only": False,
    "_pre_requisite_courses_json": "[]",
    "invitation_only": False,
    "catalog_visibility": "both",
    "self_paced": False,
    "eligible_for_financial_aid": False,
    "enable_proctored_exams": False,
    "allow_proctoring_opt_out": False,
    "entrance_exam_enabled": False,
    "entrance_exam_id": "",
    "entrance_exam_minimum_score_pct": 0.65,
    "force_on_flexible_peer_openassessments": False,
    **_TIMES,
}
