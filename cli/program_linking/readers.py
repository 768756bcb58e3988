"""What reads programs, enrollments and learners: a database, or the API."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from program_enrollments import NoSuchLearner, check_database, read_enrollments, read_learner, read_programs
from program_enrollments.postgres.connect import connected
from program_enrollments.postgres.session import Connection
from program_enrollments.reading.answers import Learner, ListedEnrollment, Program
from program_enrollments.reading.verbs import LARGEST_PAGE
from program_linking.stopped import NotThisApi, Stopped

if TYPE_CHECKING:
    from program_linking.api import Api


class Reader(NamedTuple):
    """Reads all programs, a program's enrollments page by page, and all about a learner."""

    programs: Callable[[], list[Program]]
    pages: Callable[[str, Mapping[str, Any]], Iterator[list[ListedEnrollment]]]
    learner: Callable[[dict[str, str]], Learner]


@contextmanager
def reader(url: str | None, token: str | None) -> Iterator[Reader]:
    """What reads: the API at a URL, else the database that the PG* variables name."""
    if url:
        # With httpx and botocore, which take their time.
        from program_linking.api import connected_api  # noqa: PLC0415

        with connected_api(url, token) as api:
            yield Reader(partial(_programs_by_api, api), partial(_pages_by_api, api), partial(_learner_by_api, api))
    else:
        with connected() as connection:
            check_database(connection)
            yield Reader(
                partial(read_programs, connection),
                partial(_pages_in_database, connection),
                partial(_learner_in_database, connection),
            )


def _pages_in_database(
    connection: Connection, program_uuid: str, filters: Mapping[str, Any]
) -> Iterator[list[ListedEnrollment]]:
    page = read_enrollments(connection, program_uuid, **filters, page_size=LARGEST_PAGE)
    yield page.results
    while page.next_after is not None:
        page = read_enrollments(connection, program_uuid, **filters, page_size=LARGEST_PAGE, after=page.next_after)
        yield page.results


def _learner_in_database(connection: Connection, question: dict[str, str]) -> Learner:
    try:
        return read_learner(connection, **question)  # type: ignore[arg-type] # no option has the name of the time
    except NoSuchLearner as error:
        raise Stopped(f"{error} {_similar(error.similar_keys)}".rstrip()) from error


def _programs_by_api(api: "Api") -> list[Program]:
    programs = api.ask("GET", "programs").get("programs")
    if not isinstance(programs, list):
        raise NotThisApi
    return programs


def _pages_by_api(api: "Api", program_uuid: str, filters: Mapping[str, Any]) -> Iterator[list[ListedEnrollment]]:
    query = {"page_size": str(LARGEST_PAGE), **{name: str(value).lower() for name, value in filters.items()}}
    while query:
        page = api.ask("GET", f"programs/{program_uuid}/enrollments", query=query)
        if not isinstance(page.get("results"), list):
            raise NotThisApi
        yield page["results"]
        query = dict(parse_qsl(urlsplit(str(page.get("next") or "")).query))


def _learner_by_api(api: "Api", question: dict[str, str]) -> Learner:
    said = api.ask("GET", "learners", query=question, answers={HTTPStatus.OK, HTTPStatus.NOT_FOUND})
    try:
        if "message" in said:
            raise Stopped(f"{said['message']} {_similar([detail['what'] for detail in said['details']])}".rstrip())
        return Learner(account=said["account"], enrollments=said["enrollments"], findings=said["findings"])
    except (LookupError, TypeError) as error:
        raise NotThisApi from error


def _similar(keys: Sequence[str]) -> str:
    return f"Differing only in case, there is {', '.join(keys)}." if keys else ""
