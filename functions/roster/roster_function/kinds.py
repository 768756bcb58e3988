"""The kinds of rosters. Each is a module that does what the others do in the way of its kind."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from lambda_runtime.refusals import Detail, InvalidRequest
from lambda_runtime.rosters import EnrollmentOptions, LinkOptions, NewEnrollments, NewLinks
from program_enrollments.csv_files import Column
from roster_function import enrollments, links


class Kind(Protocol):
    """What a kind of roster has: its functions take the options of the kind, or LinkFunction's requests and answers."""

    @property
    def NEW(self) -> type[NewLinks | NewEnrollments]:  # noqa: N802 - a constant of a module
        """The model of a request for such a roster."""

    @property
    def OPTIONS(self) -> type[LinkOptions | EnrollmentOptions]:  # noqa: N802 - likewise
        """The model of its options."""

    @property
    def DONE(self) -> str:  # noqa: N802 - likewise
        """What a key came to that is as asked for now, and was not before."""

    @property
    def COUNTED(self) -> Mapping[str, str]:  # noqa: N802 - likewise
        """The words for the numbers of keys that are as asked for."""

    def columns(self, options: Any, /) -> Sequence[Column]:  # noqa: ANN401 - those of the kind
        """The columns of a file."""

    def requests(self, data: bytes, options: Any, /) -> tuple[int, Iterator[dict[str, Any]]]:  # noqa: ANN401 - likewise
        """The number of the keys of a file, and the requests for them; raise `InvalidFile`."""

    def is_in_order(self, options: Any, /) -> bool:  # noqa: ANN401 - likewise
        """Whether the requests are sent one after the other."""

    def keys(self, request: Mapping[str, Any], /) -> Iterable[str]:
        """The keys of a request."""

    def count(self, answer: Mapping[str, Any], /) -> Mapping[str, int]:
        """How many keys came to what."""

    def failures(self, answer: Mapping[str, Any], /) -> Iterator[tuple[str, str, str]]:
        """Each key that was not newly done, with its code and message."""


USUAL = "links"
KINDS: dict[str, Kind] = {USUAL: links, "enrollments": enrollments}


def kind_of(fields: object) -> Kind:
    """The kind that fields name, or the usual one; raise `InvalidRequest` if there is no such kind."""
    name = fields.get("kind", USUAL) if isinstance(fields, Mapping) else USUAL
    if isinstance(name, str) and name in KINDS:
        return KINDS[name]
    raise InvalidRequest("The request is malformed.", [Detail(where="kind", what=f"must be {' or '.join(KINDS)}")])
