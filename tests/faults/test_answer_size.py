"""The largest answers still fit through Lambda."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from functions.link.app import lambda_handler
from link_function.requests import LinkRequest, LinkResponse, fitting
from local.invocation import invocation
from local.lms import CURRICULUM, PROGRAM, Lms
from program_enrollments import Code
from tests.support import load_event

LARGEST = 6_000_000
# They cost 1, 4, 4, 7, 2 and 4 bytes in JSON within JSON.
CHARACTERS = {"plain": "a", "quote": '"', "backslash": "\\", "control": "\x01", "accent": "é", "emoji": "😀"}
MOST_KEYS = 10_000
# The longest in JSON stands for all, unless there is time.
EACH_CHARACTER = [
    pytest.param(character, id=name, marks=() if name == "control" else pytest.mark.slow)
    for name, character in CHARACTERS.items()
]

# Milliseconds: this is about size, and not about time.
PATIENCE = 300_000

# So many enrollments, each with a curriculum of its own, of keys that begin with a number.
ENROLL = f"""
    INSERT INTO program_enrollments_programenrollment
        (external_user_key, program_uuid, curriculum_uuid, user_id, status, created, modified)
    SELECT key, '{PROGRAM}', gen_random_uuid(), CAST(:user_id AS integer), 'enrolled', now(), now()
    FROM unnest(CAST(:keys AS text[])) AS key
"""


def keys_of(character: str, length: int, count: int) -> list[str]:
    """So many different keys of that length, of that character but for a number."""
    return [f"{number:05}".ljust(length, character) for number in range(count)]


def is_accepted(keys: list[str], username: str, **options: object) -> bool:
    """Whether the service takes a request of that size."""
    try:
        LinkRequest.model_validate(
            {"program_uuid": PROGRAM, "external_keys_to_usernames": dict.fromkeys(keys, username), **options}
        )
    except ValidationError:
        return False
    return True


def longest(shortest_refused: int, is_accepted: Callable[[int], bool]) -> int:
    """The largest accepted number below one that may be refused."""
    low, high = 0, shortest_refused
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_accepted(middle) else (low, middle)
    return low


def lambda_bytes(answer: dict[str, Any]) -> int:
    """How many bytes Lambda returns: its runtime for Python 3.13 leaves in UTF-8 what is not ASCII."""
    return len(json.dumps(answer, ensure_ascii=False).encode())


def answers(keys: list[str], username: str, **options: object) -> tuple[dict[str, Any], int]:
    """The answer to a direct invocation, and the size in bytes of the larger of both kinds of answer."""
    request = {"program_uuid": PROGRAM, "external_keys_to_usernames": dict.fromkeys(keys, username), **options}
    event = load_event("api-link") | {"body": json.dumps(request, ensure_ascii=False)}
    answer = lambda_handler(request, invocation(PATIENCE))
    response = lambda_handler(event, invocation(PATIENCE))
    assert response["statusCode"] == 422
    assert set(answer["errors"]) == set(answer["error_codes"]) == set(keys)
    return answer, max(lambda_bytes(answer), lambda_bytes(response))


@pytest.mark.parametrize("character", EACH_CHARACTER)
def test_the_largest_request_has_an_answer_that_fits(
    lms: Lms, character: str, record_property: Callable[[str, object], None]
) -> None:
    """As many keys and as long as the service takes, with usernames as long, are answered in less than 6 MB."""
    length = longest(256, lambda length: is_accepted(keys_of(character, max(length, 5), MOST_KEYS), character * 20))
    count = longest(MOST_KEYS + 1, lambda count: is_accepted(keys_of(character, 255, count), character * 150))
    for keys, username in (
        (keys_of(character, max(length, 5), MOST_KEYS if length else 1), character * 20),
        (keys_of(character, 255, count), character * 150),
    ):
        answer, size = answers(keys, username)
        assert answer["errors"][keys[-1]] == f"No user found with username {username}"
        assert size < LARGEST
        record_property("figures", f"{len(keys):,} keys of {len(keys[0])} characters: {size:,} bytes")


@pytest.mark.slow
@pytest.mark.parametrize("character", CHARACTERS.values(), ids=CHARACTERS)
def test_long_names_of_others_fit(lms: Lms, character: str, record_property: Callable[[str, object], None]) -> None:
    """A conflict of each of 10,000 keys with a username that is as long as can be is answered in less than 6 MB."""
    lms.user("alice")
    keys = keys_of("a", 20, MOST_KEYS)
    lms.run(ENROLL, keys=keys, user_id=lms.user(character * 150))
    answer, size = answers(keys, "alice")
    assert set(answer["error_codes"].values()) == {"conflict"}
    message = (
        f"Program enrollment with external_student_key={keys[0]} is already linked to a different account username="
    )
    assert answer["errors"][keys[0]].startswith(message)
    if character == "a":
        assert answer["errors"][keys[0]] == message + "a" * 150
    assert size < LARGEST
    record_property("figures", f"{size:,} bytes")


@pytest.mark.slow
def test_many_spellings_fit(lms: Lms, record_property: Callable[[str, object], None]) -> None:
    """Keys that each match many long keys of other case are answered in less than 6 MB."""
    lms.user("alice")
    count = longest(MOST_KEYS + 1, lambda count: is_accepted(keys_of("A", 255, count), "alice", ignore_case=True))
    keys = keys_of("A", 255, count)
    for spelling in range(6):
        lms.run(ENROLL, keys=[f"{key[:-6]}{'a' * (6 - spelling)}{'A' * spelling}" for key in keys], user_id=None)
    keys = [key.swapcase()[:-6] + "AAAAAA" for key in keys]
    answer, size = answers(keys, "alice", ignore_case=True)
    assert set(answer["error_codes"].values()) == {"ambiguous-key"}
    assert size < LARGEST
    record_property("figures", f"{count:,} keys: {size:,} bytes")


@pytest.mark.slow
def test_long_refusals_fit(lms: Lms, record_property: Callable[[str, object], None]) -> None:
    """A server that says much about each of 2,000 keys is answered for in less than 6 MB."""
    keys = keys_of("a", 20, 2_000)
    lms.user("alice")
    lms.run(ENROLL, keys=keys, user_id=None)
    lms.run("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '%', repeat('"', 3000) USING ERRCODE = '23514'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON program_enrollments_programenrollment
        FOR EACH ROW EXECUTE FUNCTION refuse();
    """)
    answer, size = answers(keys, "alice")
    assert set(answer["error_codes"].values()) == {"integrity-error"}
    assert size < LARGEST
    record_property("figures", f"{size:,} bytes")
    assert CURRICULUM not in answer["errors"][keys[0]]


@pytest.mark.slow
def test_long_messages_are_cut() -> None:
    """Where messages quote too much, each is cut short, and the answer is nearly as large as it may be."""
    errors = {f"{number:05}{'k' * 150}": "m" * 1_000 for number in range(10_000)}
    cut = fitting(errors)
    codes = dict.fromkeys(errors, Code.INTEGRITY_ERROR)
    response = LinkResponse(program_uuid=UUID(PROGRAM), linked=0, errors=cut, error_codes=codes).model_dump_json()
    assert 5_500_000 < lambda_bytes({"body": response}) < LARGEST
    assert list(cut) == list(errors)
    assert set(cut.values()) == {"m" * (len(cut[next(iter(cut))]) - 1) + "…"}


def test_short_messages_stay() -> None:
    """Messages that fit are whole."""
    errors = {"student-001": "m" * 1_000}
    assert fitting(errors) == errors
