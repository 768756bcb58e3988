"""The driver fails half-way through an exchange, so that answers stay unread on the connection."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pg8000.native import Connection, InterfaceError

from lambda_runtime.connection import _warm
from link_function import service
from link_function.requests import LinkRequest
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from program_enrollments import connect, link_program_enrollments
from tests.faults.support import link, rounds

JSON_OID = 114


@pytest.fixture
def other_connection(lms: Lms) -> Iterator[Connection]:
    """A connection for the core, which the test breaks."""
    connection = connect()
    yield connection
    with pytest.raises(InterfaceError, match="connection is closed"):
        connection.run("SELECT 1")


def link_below_validation(external_keys_to_usernames: dict[str, str]) -> None:
    """Link what the request's model would have refused, on the warm connection."""
    request = LinkRequest.model_construct(
        program_uuid=PROGRAM,
        external_keys_to_usernames=external_keys_to_usernames,
        curriculum_uuid=None,
        relink=False,
        dry_run=False,
        ignore_case=False,
    )
    service.link(request, invocation())


def test_a_string_that_cannot_be_sent_closes_the_connection(other_connection: Connection) -> None:
    """A connection on which a string could not be encoded is closed."""
    other_connection.register_out_adapter(str, _fail)
    with pytest.raises(ZeroDivisionError):
        link_program_enrollments(other_connection, PROGRAM, {"student-001": "alice"})


def test_an_answer_that_cannot_be_read_closes_the_connection(other_connection: Connection) -> None:
    """A connection on which an answer could not be decoded is closed."""
    other_connection.register_in_adapter(JSON_OID, _fail)
    with pytest.raises(ZeroDivisionError):
        link_program_enrollments(other_connection, PROGRAM, {"student-001": "alice"})


@pytest.mark.parametrize("failing", ["sending", "receiving"])
def test_the_next_invocation_gets_its_own_answer(lms: Lms, failing: str) -> None:
    """After the driver failed, the next caller on the warm process gets the answer to what it asked."""
    lms.user("alice")
    lms.user("bob")
    lms.enrollment("student-001")
    lms.enrollment("student-002")
    assert link({"student-001": "alice"})["linked"] == 1
    broken = next(iter(_warm.values()))
    if failing == "sending":
        broken.register_out_adapter(str, _fail)
    else:
        broken.register_in_adapter(JSON_OID, _fail)
    with pytest.raises(ZeroDivisionError):
        link_below_validation({"student-001": "alice"})
    assert link({"student-002": "bob", "student-003": "nobody"}) == {
        "program_uuid": PROGRAM,
        "linked": 1,
        "errors": {"student-003": "No user found with username nobody"},
        "error_codes": {"student-003": "user-not-found"},
    }
    assert next(iter(_warm.values())) is not broken


@hypothesis_settings(
    max_examples=rounds(50, 2_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.text(st.characters(), min_size=1), st.text(st.characters()), max_size=3))
def test_no_string_leaves_an_answer_behind(lms: Lms, batch: dict[str, str]) -> None:
    """Whatever strings came before, NUL and lone surrogates included, the next caller gets its own answer."""
    with suppress(Exception):
        link_below_validation(batch)
    assert link({"student-001": "nobody"})["errors"] == {"student-001": "No user found with username nobody"}


def _fail(_: str) -> NoReturn:
    raise ZeroDivisionError
