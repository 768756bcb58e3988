"""What the server's errors mean: a verdict on the data, trouble with the batch, or a database that is not ready."""

from program_enrollments.errors import ConnectionLost, Contention, DatabaseNotReady, LinkingUnavailable, Refused

OUT_OF_TIME_MESSAGE = (
    "The batch could not be finished in time and was rolled back; nothing was changed. Send it again, or in halves."
)


def meaning(error: Exception) -> Exception:
    """Distinguish a verdict on the data from trouble with the server."""
    fields: dict[str, str] = error.args[0]
    sqlstate, message = fields.get("C", ""), fields.get("M", "").partition("\n")[0]
    match sqlstate, sqlstate[:2]:
        case (("40001" | "40P01"), _):  # serialization failure, deadlock
            return Contention(message)
        case (("55P03" | "57014"), _):  # lock and statement time-outs
            return LinkingUnavailable(OUT_OF_TIME_MESSAGE)
        case "25006", _:
            return ConnectionLost(f"{message}: look at PGHOST, which leads to a server that only reads")
        case _, ("08" | "25" | "53" | "57" | "58"):  # connection, transaction, resources, operator, system
            return ConnectionLost(message)
        case (("23502" | "22021" | "22P05"), _) | (_, "42" | "3F"):
            return DatabaseNotReady(_not_ready(sqlstate, message))
    return Refused(message, sqlstate, fields.get("n"), fields.get("D"))  # the data, a constraint, a trigger's own


def _not_ready(sqlstate: str, message: str) -> str:
    """What to do about text that cannot be read, or a missing table, column, privilege or schema."""
    if sqlstate.startswith("22"):  # no text is sent that the server cannot take: this one is the database's own
        return f"The database holds text that is not UTF-8: look at its encoding ({message})."
    if sqlstate.startswith("3F"):
        return f"The database is not ready for linking: {message}. Look at the role's search_path, and at PGOPTIONS."
    return (
        f"The database is not ready for linking: {message}. Run `python -m program_enrollments.migrate` against a"
        " database of your own; on Open edX's, look at the tables and at the grants of the service's role."
    )
