"""What each key of a batch needs, decided from one reading of the database; nothing here touches it."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from program_enrollments.linking import outcomes
from program_enrollments.linking.outcomes import Failure


class Enrollment(NamedTuple):
    """A program enrollment as it was read: `user_id` and `username` are its holder's, None while it waits."""

    id: int
    external_user_key: str
    curriculum_uuid: str
    user_id: int | None
    username: str | None


class Reading(NamedTuple):
    """What the database says about a batch while its program enrollments are locked.

    `missing_courses` names for an enrollment the first course that the LMS does not know, `pending_roles` the ids of
    its role assignments, and `taken` the (user id, curriculum) pairs that some enrollment of the program holds.
    """

    users: Mapping[str, int]
    enrollments: Mapping[str, Sequence[Enrollment]]
    missing_courses: Mapping[int, str]
    pending_roles: Mapping[int, Sequence[int]]
    taken: frozenset[tuple[int, str]]


class Batch(NamedTuple):
    """What was asked for; if case is ignored, `spellings` maps a key to the program's own."""

    program_uuid: str
    curriculum_uuid: str | None
    external_keys_to_usernames: Mapping[str, str]
    relink: bool = False
    spellings: Mapping[str, Sequence[str]] = MappingProxyType({})

    def spelt(self, key: str) -> Sequence[str]:
        """The program's keys that a key of the batch stands for: itself, unless case is ignored."""
        return self.spellings.get(key, [key])


class Link(NamedTuple):
    """A key to be linked: its user, and those of its enrollments that do not have that user yet."""

    key: str
    user_id: int
    enrollments: Sequence[Enrollment]
    missing_course: str | None

    @property
    def relinked(self) -> list[int]:
        """The ids of those of its enrollments that another user holds."""
        return [enrollment.id for enrollment in self.enrollments if enrollment.user_id is not None]

    @property
    def touched_users(self) -> set[int]:
        """The users whose rows the link writes: the new one and, if it is relinked, the former ones."""
        return {self.user_id} | {enrollment.user_id for enrollment in self.enrollments if enrollment.user_id}

    def is_doubtful(self, touched: set[int], taken: frozenset[tuple[int, str]]) -> bool:
        """Whether an earlier key or another enrollment may be in the way."""
        return not touched.isdisjoint(self.touched_users) or any(
            (self.user_id, enrollment.curriculum_uuid) in taken for enrollment in self.enrollments
        )


class Plan(NamedTuple):
    """What is certain before any write; the keys that may be written `together`; those to write `alone`, in order."""

    failures: dict[str, Failure]
    together: list[Link]
    alone: list[Link]


def plan(batch: Batch, reading: Reading) -> Plan:
    """Separate the keys that cannot affect each other from the doubtful ones.

    A key is doubtful if the outcome depends on an earlier key of the batch or on a constraint that looks taken. The
    others may be written before all doubtful ones, because they share no user with one that was sent earlier.
    """
    failures: dict[str, Failure] = {}
    together: list[Link] = []
    alone: list[Link] = []
    touched: set[int] = set()
    for key, verdict in _verdicts(batch, reading):
        if isinstance(verdict, Failure):
            failures[key] = verdict
        elif verdict.is_doubtful(touched, reading.taken):
            alone.append(verdict)
            touched |= verdict.touched_users
        elif verdict.missing_course is not None:
            failures[key] = outcomes.course_not_found(verdict.missing_course)
        else:
            together.append(verdict)
            touched |= verdict.touched_users
    return Plan(failures, together, alone)


def _verdicts(batch: Batch, reading: Reading) -> Iterator[tuple[str, Link | Failure]]:
    for key, username in batch.external_keys_to_usernames.items():
        yield key, _verdict(batch, reading, key, username)


def _verdict(batch: Batch, reading: Reading, key: str, username: str) -> Link | Failure:
    """The checks of one key, in Open edX's order."""
    user_id = reading.users.get(username)
    if user_id is None:
        return outcomes.user_not_found(username)
    spellings = batch.spelt(key)
    if len(spellings) > 1:
        return outcomes.ambiguous_key(key, spellings)
    enrollments = [enrollment for spelling in spellings for enrollment in reading.enrollments.get(spelling, ())]
    if not enrollments:
        return outcomes.not_in_program(batch.program_uuid, key)
    to_link = [enrollment for enrollment in enrollments if enrollment.user_id != user_id]
    if not to_link:
        return outcomes.already_linked(spellings[0], username)
    holders = [enrollment.username for enrollment in to_link if enrollment.username is not None]
    if holders and not batch.relink:
        return outcomes.conflict(spellings[0], holders[-1])
    missing = (reading.missing_courses.get(enrollment.id) for enrollment in to_link)
    return Link(key, user_id, to_link, next(filter(None, missing), None))
