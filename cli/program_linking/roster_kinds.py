"""The kinds of rosters: what the lines of a file are, and what the service does with them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from program_enrollments.csv_files import Column
from program_enrollments.enrollment_files import enrollment_columns, read_enrollments
from program_enrollments.rosters import KNOWN_COLUMNS, read_roster

if TYPE_CHECKING:
    from program_linking.roster_api import Roster

type Options = Mapping[str, Any]
Name = Literal["links", "enrollments"]


class Kind(NamedTuple):
    """A kind of roster: which options only it has, and its files and its sums.

    `check` raises `InvalidFile` if the service would refuse a file, and `done` says how many keys are as asked for.
    """

    options: set[str]
    check: Callable[[bytes, Options], object]
    columns: Callable[[Options], Sequence[Column]]
    done: Callable[["Roster", bool], str]


def _check_links(data: bytes, options: Options) -> object:
    return read_roster(data, ignore_case="ignore_case" in options)


def _check_enrollments(data: bytes, options: Options) -> object:
    return read_enrollments(
        data,
        in_course="course_key" in options,
        curriculum_uuid=options.get("curriculum_uuid"),
        create="create" in options or "update" not in options,
    )


def _linked(roster: "Roster", is_dry: bool) -> str:  # noqa: FBT001 - one of two
    return f"{roster.linked:,} {'to link' if is_dry else 'linked'}, {roster.already_linked:,} linked already"


KINDS = {
    "links": Kind({"relink", "ignore_case"}, _check_links, lambda _: KNOWN_COLUMNS, _linked),
    "enrollments": Kind(
        {"course_key", "create", "update", "idp"},
        _check_enrollments,
        lambda options: enrollment_columns(in_course="course_key" in options),
        lambda roster, _: f"{roster.written:,} as asked for",
    ),
}


def foreign(kind: Name, options: Options) -> list[str]:
    """The options that the other kind has and this one has not."""
    others = {name for each in KINDS.values() for name in each.options} - KINDS[kind].options
    return [f"--{name.removesuffix('_key').replace('_', '-')}" for name in options if name in others]
