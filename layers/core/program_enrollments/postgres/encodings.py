"""Which texts a database can hold: one whose encoding is not UTF-8 lacks most characters."""

import codecs
from collections.abc import Iterable, Iterator

from pg8000.native import Connection


def storable(connection: Connection, texts: Iterable[str]) -> Iterator[str]:
    """Those of the texts that the connection's database can hold. To send another one would fail the statement."""
    codec = _codec(connection.parameter_statuses["server_encoding"])
    return (text for text in texts if codec is None or _is_encodable(text, codec))


def _codec(encoding: str) -> str | None:
    """Python's name of a server's encoding; None for UTF-8, SQL_ASCII and what Python does not know, which hold all."""
    name = encoding.lower().replace("win", "cp").replace("koi8", "koi8_")
    try:
        return None if name in ("utf8", "sql_ascii") else codecs.lookup(name).name
    except LookupError:
        return None


def _is_encodable(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
