"""Link external user keys to LMS accounts: one bulk read, a decision for each key, and writes under savepoints."""

import time
from collections.abc import Mapping
from functools import partial
from uuid import UUID

from program_enrollments.errors import ConnectionLost, Contention, DatabaseNotReady
from program_enrollments.limits import (
    LONGEST_KEY,
    LONGEST_USERNAME,
    MOST_KEYS,
    alike,
    checked_options,
    checked_text,
    checked_uuid,
)
from program_enrollments.linking import queries
from program_enrollments.linking.batch import link_batch
from program_enrollments.linking.decisions import Batch
from program_enrollments.linking.outcomes import Outcome
from program_enrollments.postgres.session import Connection, Session

LONGEST_SECONDS = 900.0


def link_program_enrollments(  # noqa: PLR0913 - the options of the request, by name
    connection: Connection,
    program_uuid: UUID | str,
    external_keys_to_usernames: Mapping[str, str],
    *,
    curriculum_uuid: UUID | str | None = None,
    relink: bool = False,
    dry_run: bool = False,
    ignore_case: bool = False,
    seconds: float = LONGEST_SECONDS,
) -> Outcome:
    """Link each external user key of the program to the LMS account with the username beside it.

    As in Open edX's function of this name, a key that cannot be linked is rolled back by itself and reported; the
    others are linked, and each user enters the master's track of the courses that waited for the key.

    - `curriculum_uuid`: only enrollments of that curriculum; without it, all waiting ones of a key are linked.
    - `relink`: take the enrollment from the account that holds it, instead of failing with a conflict.
    - `dry_run`: answer as a real run would, and change nothing.
    - `ignore_case`: external user keys match whatever their case; an exact match goes first.
    - `seconds`: how long the batch may take. One that takes longer is rolled back.

    The connection must not be in a transaction; the batch is one. Raise `ValueError` for what is no UUID, for an option
    that is neither true nor false, for more than 10,000 keys, for a key or a username that is no string of the length
    that its column takes, and for two keys that are one if case is ignored; `ConnectionLost` if the connection went
    away and nothing was changed, `LinkingUnavailable` if time ran out or the outcome of COMMIT is unknown, and
    `DatabaseNotReady` if tables or privileges are missing.
    """
    checked_options(relink=relink, dry_run=dry_run, ignore_case=ignore_case)
    curriculum = None if curriculum_uuid is None else checked_uuid("curriculum_uuid", curriculum_uuid)
    batch = Batch(checked_uuid("program_uuid", program_uuid), curriculum, external_keys_to_usernames, relink)
    _check_pairs(external_keys_to_usernames, ignore_case=ignore_case)
    if not external_keys_to_usernames:
        return Outcome()
    session = Session(connection, time.monotonic() + seconds)
    return session.transact(partial(link_batch, session, batch, ignore_case=ignore_case), commit=not dry_run)


def check_database(connection: Connection, seconds: float = LONGEST_SECONDS) -> None:
    """Raise `DatabaseNotReady` if the database lacks a table that linking needs, its history tables included."""
    try:
        missing = Session(connection, time.monotonic() + seconds).script(queries.MISSING_TABLES)
    except Contention as error:  # as a standby says when its primary is in the way
        raise ConnectionLost(str(error)) from error
    if missing:
        raise DatabaseNotReady(
            f"The database lacks {missing}. Run `python -m program_enrollments.migrate` against a database of your own;"
            " on Open edX's, run its migrations, or look at PGDATABASE and the role's search_path."
        )


def _check_pairs(external_keys_to_usernames: Mapping[str, str], *, ignore_case: bool) -> None:
    if not isinstance(external_keys_to_usernames, Mapping):
        raise ValueError("external_keys_to_usernames is not a mapping")  # noqa: TRY004 - as `checked_text`
    if len(external_keys_to_usernames) > MOST_KEYS:
        raise ValueError(f"{len(external_keys_to_usernames):,} external user keys are more than {MOST_KEYS:,}")
    for key, username in external_keys_to_usernames.items():
        checked_text("the external user key", key, LONGEST_KEY)
        if username is None:
            raise ValueError("external_keys_to_usernames holds None: each external user key needs a username")
        checked_text("the username", username, LONGEST_USERNAME)
    for one, other in alike(external_keys_to_usernames) if ignore_case else ():
        raise ValueError(f"the external user keys {one!r} and {other!r} differ only in case")
