"""A roster cut into requests: small enough, and with the outcome of a single batch."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.link.app import lambda_handler
from lambda_runtime.rosters import LinkOptions
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from program_enrollments import InvalidFile, link_program_enrollments
from program_enrollments.limits import LONGEST_KEY, LONGEST_USERNAME, MOST_KEYS
from roster_function import cutting
from roster_function.cutting import check_groups, cut
from roster_function.links import grouping, weigh
from tests.linking.test_meaning import World, build, contents, worlds
from tests.rosters.support import Machine, arrive, csv_of, drop, result, status

STATE_BYTES = 262_144
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
rosters_of_anything = st.dictionaries(
    texts, st.sampled_from(["alice", "bob", "carol", "é", "\x01"]) | texts, max_size=60
)


@given(rosters_of_anything, st.integers(1, 5_000))
def test_nothing_is_lost_or_parted(pairs: dict[str, str], largest: int) -> None:
    """Each line is in one request, those of an account are in the same one and in their order, and each has room."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "LARGEST", largest)
        requests = list(map(dict, cut(pairs.items(), weigh, grouping(pairs.items(), LinkOptions()))))
    assert sorted(pair for request in requests for pair in request.items()) == sorted(pairs.items())
    for username in set(pairs.values()):
        having = [request for request in requests if username in request.values()]
        assert len(having) == 1
        of_account = [key for key, holder in having[0].items() if holder == username]
        assert of_account == [key for key, holder in pairs.items() if holder == username]
    for request in requests:
        groups = dict.fromkeys(request.values(), 0)
        for key, username in request.items():
            groups[username] += weigh((key, username))
        assert sum(groups.values()) <= largest or len(groups) == 1


def test_an_account_on_too_many_lines() -> None:
    """An account of which the lines do not fit into one request is named."""
    pairs = {f"key{number}": "alice" for number in range(1_000)} | {"other": "bob", "another": "bob"}
    with pytest.raises(InvalidFile) as refusal:
        check_groups(pairs.items(), weigh, grouping(pairs.items(), LinkOptions()))
    assert refusal.value.faults == ("alice is on more lines than one request can have",)


@pytest.mark.parametrize("character", ["k", "é", "\U0001d55c", "\x01", '"'])
def test_the_largest_answers_fit(lms: Lms, character: str) -> None:
    """Whatever its keys and usernames are made of, and whyever they fail, the answer to a request fits into a state."""
    keys = [f"{number:06}" + character * (LONGEST_KEY - 6) for number in range(400)]
    for username in (character * LONGEST_USERNAME, "u"):
        request = dict(next(cut([(key, username) for key in keys], weigh, lambda _: None)))
        assert len(request) <= MOST_KEYS
        answer = link(request)
        assert len(answer["errors"]) == len(request)
        assert size_of(answer) < STATE_BYTES


@pytest.mark.slow
def test_the_largest_messages_fit(lms: Lms) -> None:
    """With short keys, the holder's username and a course's key are what an answer is made of; it fits into a state."""
    holder = lms.user("h" * LONGEST_USERNAME)
    short = {f"{number:06}": f"u{number}" for number in range(2_000)}
    request = dict(next(cut(short.items(), weigh, lambda _: None)))
    for number, (key, username) in enumerate(request.items()):
        lms.user(username)
        curriculum = f"c0ffee00-0000-4000-8000-{number:012}"
        lms.enrollment(key, ["course-v1:" + "x" * 245], user_id=holder if number % 2 else None, curriculum=curriculum)
    answer = link(request)
    assert set(answer["error_codes"].values()) == {"conflict", "course-not-found"}
    assert size_of(answer) < STATE_BYTES


def link(external_keys_to_usernames: dict[str, str]) -> dict[str, dict[str, str]]:
    """What LinkFunction answers."""
    event = {"program_uuid": PROGRAM, "external_keys_to_usernames": external_keys_to_usernames}
    return lambda_handler(event, invocation())


def size_of(answer: object) -> int:
    """The bytes of an answer in the longer of the two ways to write JSON."""
    return max(len(json.dumps(answer, ensure_ascii=ascii_only).encode()) for ascii_only in (True, False))


@pytest.mark.slow
@given(world=worlds, largest=st.integers(400, 1_600), shuffled=st.randoms(use_true_random=False))
def test_cutting_changes_nothing(
    rosters: Machine, lms: Lms, world: World, largest: int, shuffled: random.Random
) -> None:
    """However a roster is cut and whichever request is sent first, errors and rows are those of a single batch."""
    build(lms, world)
    outcome = link_program_enrollments(lms.connection, PROGRAM, world.batch, relink=world.relink)
    expected = contents(lms)
    build(lms, world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            cutting,
            "LARGEST",
            max(largest, 400 * max(map(list(world.batch.values()).count, world.batch.values()))),
        )
        arrive(drop(csv_of(world.batch), relink=str(world.relink).lower()))
        order = iter if world.relink else lambda items: shuffled.sample(items, len(items))
        roster_id = rosters.walk(order)["roster_id"]
    shown = status(roster_id)
    assert (shown["state"], shown["linked"]) == ("finished", outcome.linked)
    reported = {row[0]: row[4] for row in result(roster_id, "results.csv")[1:] if row[4]}
    assert reported == outcome.errors
    assert contents(lms) == expected
