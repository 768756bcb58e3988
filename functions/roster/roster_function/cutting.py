"""The lines of a roster cut into requests, each of which is asked and answered within what a state can hold."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from program_enrollments.errors import InvalidFile

# A state of Step Functions holds 256 KiB; the rest is for what stands beside a request or an answer.
LARGEST = 240_000

# How many bytes an item takes at most, in a request and in an answer.
type Weigh[I] = Callable[[I], int]
# What an item has in common with others, if they have to be in the same request.
type Group[I] = Callable[[I], str | None]


def cut[I](items: Iterable[I], weigh: Weigh[I], group: Group[I]) -> Iterator[list[I]]:
    """Yield so many items at once as have room, in the order of the roster.

    Items of a group follow behind all others, each group's in one request and in their order.
    """
    groups: dict[str, list[I]] = {}
    yield from _packed(_singles(items, group, groups), weigh)
    yield from _packed(groups.values(), weigh)


def check_groups[I](items: Iterable[I], weigh: Weigh[I], group: Group[I]) -> None:
    """Raise `InvalidFile` that names the groups that do not fit into one request."""
    sizes: Counter[str] = Counter()
    for item in items:
        if (name := group(item)) is not None:
            sizes[name] += weigh(item)
    if large := [name for name, size in sizes.items() if size > LARGEST]:
        raise InvalidFile(*(f"{name} is on more lines than one request can have" for name in large))


def json_bytes(value: object) -> int:
    """How many bytes a value takes in JSON, in the longer of the two ways to write it."""
    return len(json.dumps(value))


def _singles[I](items: Iterable[I], group: Group[I], groups: dict[str, list[I]]) -> Iterator[list[I]]:
    """Yield the items one by one; put those of groups aside."""
    for item in items:
        if (name := group(item)) is None:
            yield [item]
        else:
            groups.setdefault(name, []).append(item)


def _packed[I](groups: Iterable[list[I]], weigh: Weigh[I]) -> Iterator[list[I]]:
    batch: list[I] = []
    size = 0
    for group in groups:
        group_size = sum(map(weigh, group))
        if batch and size + group_size > LARGEST:
            yield batch
            batch, size = [], 0
        batch += group
        size += group_size
    if batch:
        yield batch
