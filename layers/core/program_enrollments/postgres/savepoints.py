"""Many items, each written whole or not at all: the loop and its savepoints run on the server, in one script.

A savepoint that the client sets costs three round trips an item. Here PL/pgSQL sets it: a block with an EXCEPTION
clause. The role needs no function of its own for that. A DO block takes no parameters, so that the items are handed
over, and the result is handed back, in settings that end with the transaction.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from program_enrollments.errors import Refused
from program_enrollments.postgres.session import Session


class Written(NamedTuple):
    """Which items were refused, by their position from 0, and what the statements reported of the others."""

    refusals: dict[int, Refused]
    reported: list[Any]


def write_each(session: Session, statements: str, items: Sequence[object], *, together: int = 0) -> Written:
    """Write each item under a savepoint of its own, in order: an item that the server refuses leaves nothing behind.

    `statements` is constant PL/pgSQL that writes all `items` (a `jsonb[]` of what is handed over here as JSON); it may
    open a block to declare variables, raise an exception to refuse, and set `reported` (a JSON array) to report what it
    wrote. It gets one item at a time, apart from the first `together` items. Those must not affect each other: it gets
    them all at once, under one savepoint, as long as none is refused.

    It takes four round trips, whatever is in the items. Errors about the session, the batch or the statements
    themselves (a missing table or privilege, a column that has to be filled and is not) are raised as `Session` does.
    """
    if not items:
        return Written({}, [])
    given = json.dumps({"together": together, "items": items}, ensure_ascii=False)
    session.query("SELECT set_config('savepoints.given', :given, true)", given=given)
    result = session.script(_script(statements))
    refusals = {position: Refused(*fields) for position, *fields in result["refusals"]}
    return Written(refusals, list(chain.from_iterable(result["reported"])))


@cache
def _script(statements: str) -> str:
    """The loop around the statements. It names the tables that they write: their faults are not a trigger's."""
    tables = sorted(set(re.findall(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", statements)))
    return LOOP.replace("<tables>", ",".join(tables)).replace("<statements>", statements)


# A refused block is taken again in much smaller ones. They grow with what was written since the last refusal. So a
# dense run of refusals costs little more than one attempt an item, and a sparse one leaves few subtransactions: past
# 64 of them in one transaction, the snapshots of all other sessions get slower.
# Each statement is planned once: what it would be for one item is right for many, because all joins go by index.
LOOP = """
SET LOCAL plan_cache_mode = force_generic_plan;
DO $loop$
#variable_conflict use_column
DECLARE
    given CONSTANT jsonb := current_setting('savepoints.given');
    every_item CONSTANT jsonb[] := ARRAY(SELECT jsonb_array_elements(given -> 'items'));
    last_together CONSTANT integer := given -> 'together';
    first_item integer := 1;
    last_item integer;
    step integer;
    size integer := last_together;
    written integer := 0;
    items jsonb[];
    reported jsonb;
    all_reported jsonb[] := '{}';
    reported_before integer;
    refusals jsonb[] := '{}';
    refused_state text;
    refused_message text;
    refused_constraint text;
    refused_detail text;
    refused_table text;
BEGIN
    WHILE first_item <= cardinality(every_item) LOOP
        last_item := least(
            first_item + greatest(size, 1) - 1,
            CASE WHEN first_item <= last_together THEN last_together ELSE cardinality(every_item) END
        );
        step := CASE WHEN first_item <= last_together THEN last_item - first_item + 1 ELSE 1 END;
        reported_before := cardinality(all_reported);
        BEGIN
            FOR item IN first_item..last_item BY step LOOP
                items := CASE WHEN step = 1 THEN ARRAY[every_item[item]] ELSE every_item[item:last_item] END;
                reported := NULL;
                <statements>
                IF reported IS NOT NULL THEN
                    all_reported := array_append(all_reported, reported);
                END IF;
            END LOOP;
            written := CASE WHEN last_item = last_together THEN 0 ELSE written + last_item - first_item + 1 END;
            first_item := last_item + 1;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            GET STACKED DIAGNOSTICS
                refused_state = RETURNED_SQLSTATE,
                refused_message = MESSAGE_TEXT,
                refused_constraint = CONSTRAINT_NAME,
                refused_detail = PG_EXCEPTION_DETAIL,
                refused_table = TABLE_NAME;
            IF refused_state IN ('40001', '40003', '40P01', '55P03', '57014')
            OR left(refused_state, 2) IN ('08', '25', '3F', '42', '53', '57', '58')
            OR (refused_state = '23502' AND refused_table = ANY ('{<tables>}'::text[])) THEN
                RAISE;
            END IF;
            written := (last_item - first_item + 1) / 8;
            IF first_item = last_item THEN
                refusals := array_append(refusals, jsonb_build_array(
                    first_item - 1, split_part(refused_message, E'\\n', 1), refused_state,
                    nullif(refused_constraint, ''), nullif(refused_detail, '')
                ));
                first_item := last_item + 1;
            END IF;
            all_reported := CASE
                WHEN cardinality(all_reported) > reported_before THEN all_reported[:reported_before] ELSE all_reported
            END;
        END;
        size := written / 4;
    END LOOP;
    PERFORM set_config('savepoints.given', '', true);
    PERFORM set_config(
        'savepoints.result', json_build_object('refusals', refusals, 'reported', all_reported)::text, true
    );
END $loop$;
SELECT current_setting('savepoints.result')::json
"""
