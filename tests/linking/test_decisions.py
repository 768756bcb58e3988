"""What each key of a batch needs, decided from one reading, without a database."""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from program_enrollments.linking.decisions import Batch, Enrollment, Plan, Reading, plan
from program_enrollments.linking.outcomes import Code

PROGRAM = "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10"
FIRST, SECOND = "c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002"
USERS = {"alice": 1, "bob": 2, "carol": 3}
NAMES = {id_: name for name, id_ in USERS.items()}


def read(*enrollments: tuple[int, str, str, int | None], missing: dict[int, str] | None = None) -> Reading:
    """A reading of these enrollments: id, key, curriculum, the holder's id. Whoever holds one has taken its place."""
    rows: dict[str, list[Enrollment]] = {}
    for id_, key, curriculum, user_id in enrollments:
        rows.setdefault(key, []).append(Enrollment(id_, key, curriculum, user_id, NAMES.get(user_id or 0)))
    taken = frozenset((user_id, curriculum) for _, _, curriculum, user_id in enrollments if user_id)
    return Reading(USERS, rows, missing or {}, {}, taken)


def decide(reading: Reading, pairs: dict[str, str], *, relink: bool = False) -> Plan:
    """The plan for a batch of these pairs."""
    return plan(Batch(PROGRAM, None, pairs, relink), reading)


def summary(plan: Plan) -> tuple[dict[str, Code], list[str], list[str]]:
    """The codes of what fails for certain, and the keys to write together and alone."""
    codes = {key: failure.code for key, failure in plan.failures.items()}
    return codes, [link.key for link in plan.together], [link.key for link in plan.alone]


def test_clean_keys_go_together() -> None:
    """Keys of different accounts go together, each with its user and its waiting enrollments."""
    plan = decide(read((1, "a", FIRST, None), (2, "b", FIRST, None)), {"b": "bob", "a": "alice"})
    assert summary(plan) == ({}, ["b", "a"], [])
    assert [(link.user_id, [row.id for row in link.enrollments], link.relinked) for link in plan.together] == [
        (2, [2], []),
        (1, [1], []),
    ]


@pytest.mark.parametrize(
    ("username", "key", "code", "message"),
    [
        ("nobody", "unknown", Code.USER_NOT_FOUND, "No user found with username nobody"),
        (
            "alice",
            "unknown",
            Code.NOT_IN_PROGRAM,
            f"No program enrollment found for program uuid={PROGRAM} and external student key=unknown",
        ),
        (
            "bob",
            "held",
            Code.ALREADY_LINKED,
            "Program enrollment with external_student_key=held is already linked to target account username=bob",
        ),
        (
            "alice",
            "held",
            Code.CONFLICT,
            "Program enrollment with external_student_key=held is already linked to a different account username=bob",
        ),
        ("alice", "gone", Code.COURSE_NOT_FOUND, "NonExistentCourseError: course-v1:A+B+C"),
    ],
)
def test_checks(username: str, key: str, code: Code, message: str) -> None:
    """The first check that applies decides, with its code and message."""
    reading = read((1, "held", FIRST, 2), (2, "gone", FIRST, None), missing={2: "course-v1:A+B+C"})
    [failure] = decide(reading, {key: username}).failures.values()
    assert (failure.code, failure.message) == (code, message)


@pytest.mark.parametrize(
    ("enrollments", "pairs", "together", "alone"),
    [
        ([(1, "a", FIRST, None), (2, "b", FIRST, None)], {"a": "alice", "b": "alice"}, ["a"], ["b"]),
        ([(1, "a", FIRST, None), (2, "b", SECOND, None)], {"b": "alice", "a": "alice"}, ["b"], ["a"]),
        ([(1, "a", FIRST, None), (2, "old", FIRST, 1)], {"a": "alice"}, [], ["a"]),
        ([(1, "a", FIRST, None), (2, "old", SECOND, 1)], {"a": "alice"}, ["a"], []),
        (
            [(1, "a", FIRST, None), (2, "old", FIRST, 1), (3, "b", SECOND, None), (4, "c", FIRST, None)],
            {"a": "alice", "b": "alice", "c": "bob"},
            ["c"],
            ["a", "b"],
        ),
    ],
    ids=["same place", "same account", "taken place", "taken elsewhere", "after a doubtful one"],
)
def test_doubtful_keys_go_alone(
    enrollments: list[tuple[int, str, str, int | None]], pairs: dict[str, str], together: list[str], alone: list[str]
) -> None:
    """A key is alone if its account's place looks taken, or if an earlier key writes rows of the same account."""
    assert summary(decide(read(*enrollments), pairs)) == ({}, together, alone)


def test_relinked_accounts_are_touched_too() -> None:
    """A key that takes an enrollment from an account makes later keys of that account doubtful."""
    reading = read((1, "a", FIRST, 2), (2, "b", SECOND, None))
    relinking = decide(reading, {"a": "alice", "b": "bob"}, relink=True)
    assert summary(relinking) == ({}, ["a"], ["b"])
    assert [link.relinked for link in relinking.together + relinking.alone] == [[1], []]


def test_a_doubtful_key_with_a_missing_course() -> None:
    """If the place may be taken, the server decides which refusal comes first; else the missing course is certain."""
    reading = read((1, "a", FIRST, None), (2, "old", FIRST, 1), missing={1: "course-v1:A+B+C"})
    assert summary(decide(reading, {"a": "alice"})) == ({}, [], ["a"])
    assert summary(decide(replace(reading, taken=frozenset()), {"a": "alice"})) == (
        {"a": Code.COURSE_NOT_FOUND},
        [],
        [],
    )


def test_several_curricula() -> None:
    """Of a key's enrollments those that wait are linked; of several holders the one of the highest id is named."""
    partly = decide(read((1, "a", FIRST, 1), (2, "a", SECOND, None)), {"a": "alice"})
    assert [[row.id for row in link.enrollments] for link in partly.together] == [[2]]
    [conflict] = decide(read((1, "a", FIRST, 2), (2, "a", SECOND, 3)), {"a": "alice"}).failures.values()
    assert conflict.message.endswith("a different account username=carol")


def test_spellings() -> None:
    """A key stands for the program's own spelling, which the messages about its enrollment name."""
    batch = Batch(PROGRAM, None, {"KEY": "alice", "X": "bob"}, spellings={"KEY": ["Key"], "X": ["x", "X "]})
    failures = plan(batch, read((1, "Key", FIRST, 2))).failures
    assert failures["KEY"].message.startswith("Program enrollment with external_student_key=Key is")
    assert failures["X"].code == Code.AMBIGUOUS_KEY


@given(
    holders=st.dictionaries(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from([FIRST, SECOND])),
        st.none() | st.sampled_from(sorted(NAMES)),
    ),
    pairs=st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from([*USERS, "nobody"])),
    relink=st.booleans(),
)
def test_keys_that_go_together_share_nothing(
    holders: dict[tuple[str, str], int | None], pairs: dict[str, str], *, relink: bool
) -> None:
    """Each key has one place in a plan; one that goes together with others shares no account with an earlier key."""
    rows = [(number, key, curriculum, user) for number, ((key, curriculum), user) in enumerate(holders.items(), 1)]
    made = decide(read(*rows), pairs, relink=relink)
    codes, together, alone = summary(made)
    assert sorted([*codes, *together, *alone]) == sorted(pairs)
    order = list(pairs)
    assert together == sorted(together, key=order.index)
    assert alone == sorted(alone, key=order.index)
    for link in made.together:
        for other in (*made.together, *made.alone):
            if order.index(other.key) < order.index(link.key):
                assert link.touched_users.isdisjoint(other.touched_users)
