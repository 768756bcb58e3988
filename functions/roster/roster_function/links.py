"""Rosters of keys that are to be linked: what LinkFunction is asked for, and what it answers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lambda_runtime.rosters import LinkOptions, NewLinks
from program_enrollments.csv_files import Column
from program_enrollments.limits import LONGEST_USERNAME
from program_enrollments.rosters import KNOWN_COLUMNS, read_roster
from roster_function.cutting import Group, check_groups, cut, json_bytes

NEW, OPTIONS = NewLinks, LinkOptions
DONE, ALREADY_LINKED = "linked", "already-linked"
COUNTED = {"linked": "Linked", "already_linked": "linked already"}
# What a failed key costs in an answer: itself three times, a username (its own, or that of the account that holds the
# key), the words of the longest message and a code.
KEY_COPIES = 3
WORDS = 180

type Pair = tuple[str, str]


def columns(_: LinkOptions) -> tuple[Column, ...]:
    """The columns of the file."""
    return KNOWN_COLUMNS


def requests(data: bytes, options: LinkOptions) -> tuple[int, Iterator[dict[str, Any]]]:
    """The number of the keys of a file, and the requests that link them; raise `InvalidFile`."""
    pairs = read_roster(data, ignore_case=options.ignore_case).pairs
    group = grouping(pairs.items(), options)
    check_groups(pairs.items(), weigh, group)
    asked = {
        "curriculum_uuid": options.curriculum,
        "relink": options.relink,
        "ignore_case": options.ignore_case,
    }
    given = {name: value for name, value in asked.items() if value}
    batches = cut(pairs.items(), weigh, group)
    return len(pairs), ({"external_keys_to_usernames": dict(batch), **given} for batch in batches)


def grouping(pairs: Iterable[Pair], options: LinkOptions) -> Group[Pair]:
    """What keeps all lines of an account together, so that the outcome is that of a single batch.

    Where an account may take a key from another one, what is linked first matters to lines of different accounts: they
    stay in the order of the file, and are sent one request after the other.
    """
    again = frozenset[str]() if options.relink else _repeated(username for _, username in pairs)
    return lambda pair: pair[1] if pair[1] in again else None


def is_in_order(options: LinkOptions) -> bool:
    """Whether the requests are sent one after the other."""
    return options.relink


def weigh(pair: Pair) -> int:
    """How many bytes a key takes in an answer at most, if it fails."""
    key, username = pair
    return KEY_COPIES * json_bytes(key) + max(json_bytes(username), LONGEST_USERNAME) + WORDS


def keys(request: Mapping[str, Any]) -> Iterable[str]:
    """The keys of a request."""
    return list(request["external_keys_to_usernames"])


def count(answer: Mapping[str, Any]) -> dict[str, int]:
    """How many keys came to what."""
    return {DONE: answer["linked"], **Counter(answer["error_codes"].values())}


def failures(answer: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each key that was not newly linked, with its code and message."""
    for key, message in answer["errors"].items():
        yield key, answer["error_codes"][key], message


def _repeated(usernames: Iterable[str]) -> frozenset[str]:
    once: set[str] = set()
    again: set[str] = set()
    for username in usernames:
        (again if username in once else once).add(username)
    return frozenset(again)
