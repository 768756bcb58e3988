"""A roster cut into linking requests, each of which is answered within what a state of Step Functions can hold."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator

# A state holds 256 KiB; the rest is for what stands beside an answer.
LARGEST_ANSWER = 240_000
# What a failed key costs in an answer: itself three times, a username (its own, or that of the account that holds the
# key), the words of the longest message and a code.
KEY_COPIES = 3
LONGEST_HOLDER = 150
WORDS = 180

type Pair = tuple[str, str]


def cut(pairs: Iterable[Pair], together: frozenset[str]) -> Iterator[dict[str, str]]:
    """Yield external keys with their usernames, so many at once that their answer fits, in the order of the roster.

    The lines of the accounts `together` follow behind all others, each account's in one request and in their order. If
    these are the accounts that occur more than once, the outcome is that of a single batch, whatever is linked first.
    """
    groups: dict[str, list[Pair]] = {}
    yield from _packed(_singles(pairs, together, groups))
    yield from _packed(groups.values())


def repeated(usernames: Iterable[str]) -> frozenset[str]:
    """The usernames that occur more than once."""
    once: set[str] = set()
    again: set[str] = set()
    for username in usernames:
        (again if username in once else once).add(username)
    return frozenset(again)


def oversized(pairs: Iterable[Pair], together: frozenset[str]) -> list[str]:
    """Those of the accounts that have to stay together of which the lines do not fit into one request."""
    sizes: Counter[str] = Counter()
    for key, username in pairs:
        if username in together:
            sizes[username] += answer_bytes(key, username)
    return [username for username, size in sizes.items() if size > LARGEST_ANSWER]


def answer_bytes(key: str, username: str) -> int:
    """How many bytes a key takes in an answer at most, if it fails."""
    return KEY_COPIES * _json_bytes(key) + max(_json_bytes(username), LONGEST_HOLDER) + WORDS


def _singles(pairs: Iterable[Pair], together: frozenset[str], groups: dict[str, list[Pair]]) -> Iterator[list[Pair]]:
    """Yield the pairs one by one; put those that have to stay together aside."""
    for pair in pairs:
        if pair[1] in together:
            groups.setdefault(pair[1], []).append(pair)
        else:
            yield [pair]


def _packed(groups: Iterable[list[Pair]]) -> Iterator[dict[str, str]]:
    batch: dict[str, str] = {}
    size = 0
    for group in groups:
        group_size = sum(answer_bytes(key, username) for key, username in group)
        if batch and size + group_size > LARGEST_ANSWER:
            yield batch
            batch, size = {}, 0
        batch.update(group)
        size += group_size
    if batch:
        yield batch


def _json_bytes(text: str) -> int:
    return len(json.dumps(text))
