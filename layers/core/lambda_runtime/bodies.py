"""The body of an HTTP request as the JSON that it has to be."""

import json
from collections import Counter
from http import HTTPStatus
from typing import Any

from lambda_runtime.refusals import Detail, InvalidRequest, not_a_request, shown

# Lambda takes and gives 6 MB; the rest is for the envelope.
LARGEST_BODY = 6_000_000


def read_json(text: str) -> Any:  # noqa: ANN401 - an object or a list
    """Read the JSON object or list of a body, more strictly than Python does by itself; raise `InvalidRequest`."""
    if len(text) > LARGEST_BODY:
        raise not_a_request(
            "is larger than 6 MB: send the keys in several batches", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )
    try:
        value = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest("The body is not JSON.", [Detail(where=where, what="stops being JSON here")]) from error
    except RecursionError as error:
        raise not_a_request("is nested too deeply") from error
    except ValueError as error:
        raise not_a_request("holds a number that is too long") from error
    if not isinstance(value, dict | list):
        raise not_a_request("is neither a JSON object nor a list")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        repeated = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise InvalidRequest("The body names a key twice.", [Detail(where=shown(repeated), what="occurs twice")])
    return members


def _refuse_constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise InvalidRequest("The body is not JSON.", [Detail(where=name, what="is no JSON value")])
