"""A sample roster: two programs, a dozen course runs, a few hundred learners, and each way in which a key can fail."""

import json

from local.lms import PROGRAM, Lms

SECOND_PROGRAM = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"
COURSES = [f"course-v1:ExampleX+MS{number}+2026_Fall" for number in range(101, 113)]
NO_COURSE = "course-v1:ExampleX+MS199+Withdrawn"
NAMED = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]
STUDENTS = range(1, 201)
USERNAMES = [*NAMED, *(f"learner{number:03}" for number in STUDENTS[len(NAMED) :])]

# One request that meets every kind of answer; the comment beside a key is what the roster has in store for it.
SAMPLE_REQUEST = {
    "program_uuid": PROGRAM,
    "external_keys_to_usernames": {
        "student-001": "alice",  # linked, and enrolled in two courses
        "student-002": "bob",  # linked; his audit enrollment moves to the master's track
        "student-003": "nobody",  # no such account
        "student-999": "carol",  # not in the program
        "student-004": "dave",  # linked already
        "student-005": "erin",  # linked to grace
        "student-006": "frank",  # waits for a course that is gone
        "student-007": "alice",  # alice has the program under another key
        "student-008": "heidi",  # linked, and given a role in a course
    },
}


def load_sample_roster(lms: Lms) -> None:
    """Fill an LMS that does not have the sample programs yet."""
    if lms.run(
        "SELECT FROM program_enrollments_programenrollment WHERE program_uuid = :program LIMIT 1", program=PROGRAM
    ):
        return
    users = lms.users(USERNAMES)
    lms.courses(COURSES, {"masters": None, "audit": None})
    lms.course_enrollment(users["bob"], COURSES[1], "audit")
    courses = {f"student-{number:03}": [COURSES[number % 12], COURSES[(number + 1) % 12]] for number in STUDENTS}
    courses["student-006"] = [COURSES[0], NO_COURSE]
    enrollments = lms.enrollments(courses, {"student-004": users["dave"], "student-005": users["grace"]})
    lms.role_assignment(enrollments["student-008"], COURSES[8])
    lms.enrollments({f"MBA/{number}": [COURSES[number % 12]] for number in range(1, 100)}, program=SECOND_PROGRAM)


def count_strangers(lms: Lms) -> int:
    """How many accounts the LMS has that `load_sample_roster` did not make."""
    [[count]] = lms.run(
        "SELECT count(*) FROM auth_user WHERE username != ALL(:usernames) OR email != '' OR password != '!'",
        usernames=USERNAMES,
    )
    return int(count)


def sample_curl(url: str) -> str:
    """A command that links some students of the sample roster and fails with others."""
    body = json.dumps(SAMPLE_REQUEST, indent=2)
    return f"curl -i {url}/links -H 'Content-Type: application/json' -d '{body}'"
