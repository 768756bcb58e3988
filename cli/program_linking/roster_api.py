"""What the command asks of /rosters: hand a file in, look at a roster, fetch its results."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx

from program_linking.api import Api
from program_linking.stopped import NotThisApi, Stopped
from program_linking.urls import is_local

CREATED = 201
TRANSFER_SECONDS = 600.0
ENDED = {"finished", "held", "refused", "stopped", "failed"}


class Roster(NamedTuple):
    """A roster as the API has it: what its fields mean, docs/rosters.md says."""

    roster_id: str
    program_uuid: str
    file: str
    state: str
    submitted_by: str
    created: str
    ended: str | None
    keys: int | None
    done: int
    linked: int
    already_linked: int
    written: int
    failed: Mapping[str, int]
    faults: list[str]
    fault_count: int
    message: str | None
    options: Mapping[str, Any]
    results: Mapping[str, str]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ENDED


def submit(api: Api, request: Mapping[str, object], name: str, data: bytes) -> Roster:
    """Ask for a roster, and send its file; raise `Stopped` if the bucket does not take it."""
    answer = api.ask("POST", "rosters", body=request, answers=(CREATED,))
    try:
        url, fields = answer["upload"]["url"], answer["upload"]["fields"]
    except (LookupError, TypeError) as error:
        raise NotThisApi from error
    _transfer("POST", url, data=fields, files={"file": (name, data)})
    return _roster(answer)


def status(api: Api, roster_id: str, verb: str | None = None) -> Roster:
    """A roster as it is now; after a verb, if one is given: stop or resume."""
    path = f"rosters/{roster_id}"
    return _roster(api.ask("POST", f"{path}/{verb}") if verb else api.ask("GET", path))


def listed(api: Api, program_uuid: str) -> Iterator[Roster]:
    """The rosters of a program, the newest one first."""
    query = {"program_uuid": program_uuid}
    while True:
        page = api.ask("GET", "rosters", query=query)
        try:
            yield from map(_roster, page["results"])
            cursor = page["next"]
        except (LookupError, TypeError) as error:
            raise NotThisApi from error
        if cursor is None:
            return
        query["cursor"] = cursor


def result(roster: Roster, name: str) -> bytes:
    """One of the files that a roster ended with; raise `Stopped` if it has none."""
    if name not in roster.results:
        raise Stopped(f"The roster is {roster.state}: it has no {name}.")
    return _transfer("GET", roster.results[name]).content


def _roster(fields: Mapping[str, Any]) -> Roster:
    try:
        return Roster(**{name: fields[name] for name in Roster._fields})
    except (LookupError, TypeError) as error:
        raise NotThisApi from error


def _transfer(method: str, url: str, **sent: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
    """Send a request to the bucket, whose signature is in the link or the form itself."""
    try:
        answer = httpx.request(method, url, timeout=TRANSFER_SECONDS, trust_env=not is_local(url), **sent)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
        raise Stopped(f"The bucket cannot be reached: {error}. Look at the network.") from error
    if not answer.is_success:
        raise Stopped(f"The bucket answered {answer.status_code}: {_said(answer)}")
    return answer


def _said(answer: httpx.Response) -> str:
    """What S3 says, in its XML."""
    found = re.search(r"<Message>([^<]*)</Message>", answer.text)
    return found[1] if found else answer.reason_phrase
