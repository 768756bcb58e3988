"""What a database can hold, by its encoding."""

from types import SimpleNamespace
from typing import Any

import pytest
from pg8000.native import Connection

from local.lms import Lms
from program_enrollments.postgres.encodings import storable

TEXTS = ["key", "é", "Ж", "日", "€", "\U0001f600"]


@pytest.mark.parametrize(
    ("encoding", "held"),
    [
        ("UTF8", TEXTS),
        ("SQL_ASCII", TEXTS),
        ("MULE_INTERNAL", TEXTS),
        ("LATIN1", ["key", "é"]),
        ("LATIN9", ["key", "é", "€"]),
        ("WIN1252", ["key", "é", "€"]),
        ("WIN1251", ["key", "Ж", "€"]),
        ("KOI8R", ["key", "Ж"]),
        ("ISO_8859_5", ["key", "Ж"]),
        ("EUC_JP", ["key", "é", "Ж", "日"]),
    ],
)
def test_storable(encoding: str, held: list[str]) -> None:
    """A database holds the characters of its encoding; of an encoding that is not known nothing is assumed."""
    connection: Any = SimpleNamespace(parameter_statuses={"server_encoding": encoding})
    assert list(storable(connection, TEXTS)) == held


def test_the_server_says_its_encoding(lms: Lms, other_session: Connection) -> None:
    """A connection knows the encoding of its database."""
    assert other_session.parameter_statuses["server_encoding"] == "UTF8"
