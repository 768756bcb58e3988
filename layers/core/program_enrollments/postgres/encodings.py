"""Which texts a database cannot hold: one whose encoding is not UTF-8 lacks most characters."""

from collections.abc import Iterable

from program_enrollments.errors import Refused
from program_enrollments.postgres.session import Session

# SQL_ASCII takes every byte as it comes.
HOLD_ALL = {"UTF8", "SQL_ASCII"}

# The texts come and go as ASCII. Only the server knows what its encoding has: Python's tables of EUC_JP and EUC_KR
# differ from its own.
CHECK = """
DO $check$
DECLARE
    texts CONSTANT text[] := string_to_array(current_setting('encodings.given'), ' ');
    refusals json[] := '{}';
BEGIN
    FOR number IN 1..cardinality(texts) LOOP
        BEGIN
            PERFORM convert_from(decode(texts[number], 'hex'), 'UTF8');
        EXCEPTION WHEN data_exception THEN
            refusals := array_append(refusals, json_build_array(number - 1, SQLERRM, SQLSTATE));
        END;
    END LOOP;
    PERFORM set_config('encodings.refusals', array_to_json(refusals)::text, true);
END $check$;
SELECT current_setting('encodings.refusals')::json
"""


def unstorable(session: Session, texts: Iterable[str]) -> dict[str, Refused]:
    """The texts that the database of an open transaction cannot hold, each with what its server says of it.

    To send one would fail the statement. It takes two round trips unless the database's encoding holds everything.
    """
    if session.connection.parameter_statuses["server_encoding"] in HOLD_ALL:
        return {}
    doubtful = [text for text in dict.fromkeys(texts) if not text.isascii()]
    if not doubtful:
        return {}
    given = " ".join(text.encode().hex() for text in doubtful)
    session.query("SELECT set_config('encodings.given', :given, true)", given=given)
    return {
        doubtful[number]: Refused(message, sqlstate, None, None) for number, message, sqlstate in session.script(CHECK)
    }
