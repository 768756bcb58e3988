"""What the tests of the command line share beside fixtures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from local.lms import PROGRAM

if TYPE_CHECKING:
    import subprocess


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


class Link(Protocol):
    """Run the command for the sample program with more arguments: `link("student-001:alice", "--dry-run")`."""

    def __call__(self, *arguments: str, program: str = PROGRAM) -> Ended: ...


class Start(Protocol):
    """Start the command likewise, as a process that has nothing but the layer."""

    def __call__(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]": ...


class Received(NamedTuple):
    """A request as an API received it."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def keys(self) -> list[str]:
        """The external user keys of the request."""
        return list(json.loads(self.body)["external_keys_to_usernames"])


@dataclass
class Api:
    """An API that records what it is sent, and gives the answers that a test lays out for it."""

    url: str
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str], object]] = field(default_factory=list)

    def will_answer(self, status: int, body: object, **headers: str) -> None:
        """Lay out one more answer; an underscore in a header's name is a hyphen."""
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))
