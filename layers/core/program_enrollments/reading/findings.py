"""What is amiss with a learner, or still waits, and what to do about it; nothing here touches the database.

Each finding is a function of what was read: it yields a finding wherever its condition holds.
"""

from collections.abc import Iterator, Sequence

from program_enrollments.reading.answers import Account, Course, Enrollment, Finding

# Linking takes an active course enrollment in one of these modes into the master's track, and keeps any other one.
TAKEN_OVER = {"audit", "honor"}
MASTERS = "masters"
ENDED = {"canceled", "ended", "suspended"}


def findings_of(account: Account | None, enrollments: Sequence[Enrollment]) -> list[Finding]:
    """All findings, by enrollment and course, in the order in which they were read."""
    return [
        *account_without_program(account, enrollments),
        *(finding for enrollment in enrollments for finding in _of_enrollment(enrollment)),
        *split_key(enrollments),
    ]


def _of_enrollment(enrollment: Enrollment) -> Iterator[Finding]:
    for of_enrollment in OF_ENROLLMENT:
        yield from of_enrollment(enrollment)
    for course in enrollment["courses"]:
        for of_course in OF_COURSE:
            yield from of_course(enrollment, course)


def account_without_program(account: Account | None, enrollments: Sequence[Enrollment]) -> Iterator[Finding]:
    """The account asked for holds no program enrollment."""
    if account and not enrollments:
        yield _finding(
            "account-without-program",
            f"The account {account['username']} holds no program enrollment.",
            "Link the learner's external user key to this account, or look at the key: another account may hold it.",
        )


def waiting(enrollment: Enrollment) -> Iterator[Finding]:
    """No account holds the enrollment."""
    if enrollment["holder"] is None:
        yield _finding(
            "waiting",
            f"{_key(enrollment)} waits: no account holds it.",
            "Link it to the learner's account.",
            enrollment,
        )


def similar_keys(enrollment: Enrollment) -> Iterator[Finding]:
    """The program has other keys that differ from this one only in case."""
    if others := enrollment["similar_keys"]:
        yield _finding(
            "similar-keys",
            f"The program also has {_listed(others)}, which {_differs(others)} from this one only in case.",
            "If it is the same learner, correct the key in the LMS so that one enrollment remains; else send keys"
            " exactly, without ignoring case.",
            enrollment,
        )


def other_keys(enrollment: Enrollment) -> Iterator[Finding]:
    """The account that holds the enrollment holds the program under another key too."""
    if (holder := enrollment["holder"]) and (others := enrollment["other_keys"]):
        yield _finding(
            "account-has-another-key",
            f"{holder['username']} holds the program under {_listed(others)} too.",
            "If the learner changed keys, this may be right; else link the key that is wrong to its own account,"
            " with relinking.",
            enrollment,
        )


def inactive_account(enrollment: Enrollment) -> Iterator[Finding]:
    """The account is not active: nobody has confirmed its e-mail address, or it was closed."""
    if (holder := enrollment["holder"]) and not holder["is_active"]:
        yield _finding(
            "account-inactive",
            f"The account {holder['username']} is not active.",
            "The learner activates it with the link in the LMS's e-mail; support staff can send that again.",
            enrollment,
        )


def ended_but_enrolled(enrollment: Enrollment) -> Iterator[Finding]:
    """The program enrollment is over or suspended, but the learner is in its courses."""
    active = [course["course_key"] for course in enrollment["courses"] if _is_active(course)]
    if enrollment["status"] in ENDED and active:
        yield _finding(
            "ended-but-enrolled",
            f"{_key(enrollment)} is {enrollment['status']} in the program, but still enrolled in {_listed(active)}.",
            "If the learner should leave the courses, set each program-course enrollment to inactive.",
            enrollment,
        )


def course_waits(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The enrollment is linked, but one of its courses has no course enrollment."""
    if enrollment["holder"] and not course["course_enrollment"] and course["course_exists"]:
        yield _finding(
            "course-waits",
            f"{_key(enrollment)} is linked to {enrollment['holder']['username']},"
            f" but the course {course['course_key']} still waits.",
            "Linking again does not change it. Empty the enrollment's user in the LMS's admin site (Program"
            " enrollments), then link the key again.",
            enrollment,
            course,
        )


def course_unknown(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The LMS does not know the course."""
    if not course["course_exists"]:
        consequence = "" if enrollment["holder"] else " Linking the key fails as long as that is so."
        yield _finding(
            "course-unknown",
            f"The LMS does not know the course {course['course_key']}.{consequence}",
            "Publish the course in Studio; if it will never exist, delete the program-course enrollment in the LMS's"
            " admin site.",
            enrollment,
            course,
        )


def inactive_but_enrolled(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The program-course enrollment is inactive, but the course enrollment is active in the master's track."""
    entered = course["course_enrollment"]
    if course["status"] == "inactive" and entered and entered["is_active"] and entered["mode"] == MASTERS:
        yield _finding(
            "inactive-but-enrolled",
            f"{_key(enrollment)} is inactive in the course {course['course_key']}, but {entered['username']} is"
            " enrolled there.",
            "If the learner should not be in the course, unenroll the account there; else set the program-course"
            " enrollment to active.",
            enrollment,
            course,
        )


def active_but_unenrolled(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The program-course enrollment is active, but the course enrollment is not."""
    entered = course["course_enrollment"]
    if course["status"] == "active" and entered and not entered["is_active"]:
        yield _finding(
            "active-but-unenrolled",
            f"{_key(enrollment)} is active in the course {course['course_key']}, but {entered['username']} has left"
            " it.",
            "If the learner should be in the course, set the program-course enrollment to inactive and to active"
            " again; else set it to inactive.",
            enrollment,
            course,
        )


def paid_mode_kept(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The learner is in the course in a mode that linking does not touch."""
    entered = course["course_enrollment"]
    if entered and entered["is_active"] and entered["mode"] not in {MASTERS, *TAKEN_OVER}:
        yield _finding(
            "paid-mode-kept",
            f"{entered['username']} is in the course {course['course_key']} as {entered['mode']}, not in the master's"
            " track: linking keeps what may have been paid for.",
            "If it should be the master's track, refund the learner and change the mode in the LMS's support tools.",
            enrollment,
            course,
        )


def not_in_masters_track(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The learner was in the master's track, and somebody put the course enrollment into a free one."""
    entered = course["course_enrollment"]
    if entered and entered["is_active"] and entered["mode"] in TAKEN_OVER:
        yield _finding(
            "not-in-masters-track",
            f"{entered['username']} is in the course {course['course_key']} as {entered['mode']}: it was changed after"
            " the key was linked.",
            "Change the mode to masters in the LMS's support tools.",
            enrollment,
            course,
        )


def foreign_course_enrollment(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The course enrollment belongs to an account that does not hold the program enrollment."""
    entered, holder = course["course_enrollment"], enrollment["holder"]
    if entered and (holder is None or holder["username"] != entered["username"]):
        held_by = f"by {holder['username']}" if holder else "by nobody"
        yield _finding(
            "foreign-course-enrollment",
            f"{_key(enrollment)} is held {held_by}, but its course {course['course_key']} is with"
            f" {entered['username']}.",
            "Somebody changed the enrollment's user by hand. Link the key, with relinking if an account holds it; then"
            " look whether the former account should leave the course.",
            enrollment,
            course,
        )


def roles_wait(enrollment: Enrollment, course: Course) -> Iterator[Finding]:
    """The enrollment is linked, but roles in a course are not given yet."""
    holder = enrollment["holder"]
    if holder and course["pending_roles"]:
        roles = ("the role " if len(course["pending_roles"]) == 1 else "the roles ") + _listed(course["pending_roles"])
        reason = "refused when the key was linked" if holder["is_active"] else "an inactive account gets no roles"
        yield _finding(
            "roles-wait",
            f"{holder['username']} does not have {roles} in the course {course['course_key']} yet: {reason}.",
            "Activate the account if it is not; then give the role on the course's instructor dashboard.",
            enrollment,
            course,
        )


def split_key(enrollments: Sequence[Enrollment]) -> Iterator[Finding]:
    """A key is linked in some curricula of a program and waits in others, or is held by several accounts."""
    by_key: dict[tuple[str, str | None], list[Enrollment]] = {}
    for enrollment in enrollments:
        by_key.setdefault((enrollment["program_uuid"], enrollment["external_user_key"]), []).append(enrollment)
    for same_key in by_key.values():
        holders = {enrollment["holder"]["username"] if enrollment["holder"] else None for enrollment in same_key}
        if len(holders) > 1:
            yield _split(same_key[0], sorted(holder or "nobody" for holder in holders))


def _split(enrollment: Enrollment, holders: Sequence[str]) -> Finding:
    return _finding(
        "split-key",
        f"{_key(enrollment)} is in several curricula of the program, held by {_listed(holders)}.",
        "Link the key to the one account that is right; with relinking, if another one holds it.",
        enrollment,
    )


OF_ENROLLMENT = (waiting, similar_keys, other_keys, inactive_account, ended_but_enrolled)
OF_COURSE = (
    course_waits,
    course_unknown,
    inactive_but_enrolled,
    active_but_unenrolled,
    paid_mode_kept,
    not_in_masters_track,
    foreign_course_enrollment,
    roles_wait,
)


def _finding(
    code: str, message: str, advice: str, enrollment: Enrollment | None = None, course: Course | None = None
) -> Finding:
    return {
        "code": code,
        "message": message,
        "advice": advice,
        "program_uuid": enrollment and enrollment["program_uuid"],
        "external_user_key": enrollment and enrollment["external_user_key"],
        "course_key": course and course["course_key"],
    }


def _is_active(course: Course) -> bool:
    entered = course["course_enrollment"]
    return bool(entered and entered["is_active"])


def _key(enrollment: Enrollment) -> str:
    key = enrollment["external_user_key"]
    return "The enrollment without a key" if key is None else f"The key {key}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(", ".join(words).rsplit(", ", 1))


def _differs(words: Sequence[str]) -> str:
    return "differs" if len(words) == 1 else "differ"
