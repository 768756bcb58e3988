"""Many items, each written whole or not at all, by a loop on the server."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.lms import Lms
from program_enrollments import ConnectionLost, DatabaseNotReady, LinkingUnavailable
from program_enrollments.errors import Contention
from program_enrollments.postgres.savepoints import write_each
from program_enrollments.postgres.session import Session

# Each item is a number to keep; odd hundreds are refused after they were written.
KEEP = """
DECLARE
    refused jsonb;
BEGIN
    INSERT INTO kept (number, subtransaction)
    SELECT (item -> 'number')::integer, pg_current_xact_id_if_assigned()::text FROM unnest(items) AS item;

    SELECT item INTO refused FROM unnest(items) AS item WHERE item ? 'sqlstate' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION E'% is refused\\n%', refused ->> 'number', repeat('x', 10)
        USING ERRCODE = refused ->> 'sqlstate', DETAIL = 'a detail', CONSTRAINT = 'a_constraint';
    END IF;

    SELECT jsonb_agg(item -> 'number') INTO reported FROM unnest(items) AS item WHERE item ? 'reported';
END;
"""


@pytest.fixture
def session(lms: Lms) -> Iterator[Session]:
    """A session in a transaction, and an empty table for what is kept."""
    lms.run("CREATE TABLE kept (number integer NOT NULL, subtransaction text, place serial)")
    session = Session(lms.connection, time.monotonic() + 60)
    with session.transaction(commit=False):
        yield session


def kept(lms: Lms) -> list[int]:
    """The numbers that are in the table, in the order in which they came."""
    return [number for (number,) in lms.run("SELECT number FROM kept ORDER BY place")]


def items(numbers: range, refused: "set[int] | range" = range(0), sqlstate: str = "EDX01") -> list[dict[str, object]]:
    """Items of these numbers, some of which are to be refused; each number that 10 divides is reported."""
    return [
        {
            "number": number,
            **({"sqlstate": sqlstate} if number in refused else {}),
            **({"reported": True} if number % 10 == 0 else {}),
        }
        for number in numbers
    ]


def test_a_refused_item_leaves_nothing_behind(lms: Lms, session: Session) -> None:
    """A refused item is undone and described by the server's fields; what it reported is dropped."""
    written = write_each(session, KEEP, items(range(30), {10, 11, 29}))
    assert kept(lms) == [number for number in range(30) if number not in {10, 11, 29}]
    assert written.reported == [0, 20]
    assert list(written.refusals) == [10, 11, 29]
    refusal = written.refusals[10]
    assert (str(refusal), refusal.sqlstate, refusal.constraint, refusal.detail) == (
        "10 is refused",
        "EDX01",
        "a_constraint",
        "a detail",
    )


def test_no_items(lms: Lms, session: Session) -> None:
    """Nothing to write is nothing refused."""
    assert write_each(session, KEEP, []).refusals == {}


def test_items_that_go_together_are_one_subtransaction(lms: Lms, session: Session) -> None:
    """Items that cannot affect each other are written at once, under one savepoint."""
    write_each(session, KEEP, items(range(1_000)), together=1_000)
    assert kept(lms) == list(range(1_000))
    assert lms.run("SELECT count(DISTINCT xmin::text) FROM kept") == [[1]]


@pytest.mark.parametrize(
    ("together", "refused"),
    [
        pytest.param(0, set(), id="in order, none refused"),
        pytest.param(10_000, {6_543}, id="together, one refused"),
        pytest.param(0, {6_543}, id="in order, one refused"),
    ],
)
def test_few_subtransactions_stay_open(lms: Lms, session: Session, together: int, refused: set[int]) -> None:
    """Where few items of many are refused, the others are written under some dozens of savepoints."""
    assert list(write_each(session, KEEP, items(range(10_000), refused), together=together).refusals) == list(refused)
    assert lms.run("SELECT count(*), count(DISTINCT xmin::text) < 200 FROM kept") == [[10_000 - len(refused), True]]


@given(size=st.integers(0, 80), together=st.integers(0, 80), refused=st.sets(st.integers(0, 79)))
def test_parts_change_nothing(lms: Lms, session: Session, size: int, together: int, refused: set[int]) -> None:
    """Whichever items go together, those that are refused are refused, and all others are written once, in order."""
    session.script("DELETE FROM kept")
    written = write_each(session, KEEP, items(range(size), refused), together=min(together, size))
    assert list(written.refusals) == sorted(number for number in refused if number < size)
    assert kept(lms) == [number for number in range(size) if number not in refused]
    assert written.reported == [number for number in range(0, size, 10) if number not in refused]


@pytest.mark.parametrize("together", [30, pytest.param(0, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("40001", Contention),
        ("40P01", Contention),
        ("55P03", LinkingUnavailable),
        ("57014", LinkingUnavailable),
        ("08006", ConnectionLost),
        ("25006", ConnectionLost),
        ("53100", ConnectionLost),
        ("53200", ConnectionLost),
        ("57P01", ConnectionLost),
        ("58030", ConnectionLost),
        ("42501", DatabaseNotReady),
        ("42703", DatabaseNotReady),
        ("42P01", DatabaseNotReady),
        ("3F000", DatabaseNotReady),
    ],
)
def test_what_is_no_verdict_passes_through(
    session: Session, sqlstate: str, kind: type[Exception], together: int
) -> None:
    """Trouble with the session, the batch or the statements themselves ends the batch, as what it is."""
    with pytest.raises(kind, match="17 is refused" if kind is not LinkingUnavailable else "in time") as caught:
        write_each(session, KEEP, items(range(30), {17}, sqlstate), together=together)
    assert caught.type is kind


def test_a_column_that_is_not_filled_is_no_verdict(lms: Lms, session: Session) -> None:
    """A column that the statements do not fill is named, with its table, at the first item; a trigger's own is not."""
    session.script("ALTER TABLE kept ADD COLUMN filled_by_nobody integer NOT NULL")
    with pytest.raises(DatabaseNotReady, match='"filled_by_nobody" of relation "kept"'):
        write_each(session, KEEP, items(range(30)), together=15)


def test_a_column_that_a_trigger_does_not_fill_is_a_refusal(lms: Lms, session: Session) -> None:
    """A trigger that cannot write a row of its own refuses the item that it was called for."""
    session.script("""
        CREATE TABLE audit (number integer NOT NULL);
        CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO audit VALUES (nullif(NEW.number, 7));
            RETURN NEW;
        END $$;
        CREATE TRIGGER audit BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION audit()
    """)
    refusals = write_each(session, KEEP, items(range(30)), together=15).refusals
    assert {position: refusal.sqlstate for position, refusal in refusals.items()} == {7: "23502"}


@pytest.mark.parametrize("text", ["$loop$", "<statements>", "'", "\\", "%", ":name", "null", "Größe", "\u2028", "{}"])
def test_items_are_literal(lms: Lms, session: Session, text: str) -> None:
    """Whatever an item holds is data."""
    assert write_each(session, "reported := jsonb_build_array(items[1]);", [text, {"a": text}]).reported == [
        text,
        {"a": text},
    ]
