"""How a request is refused: in words of our own, whatever found the fault."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

MOST_DETAILS = 20
LONGEST_SHOWN = 100
LONGEST_TEXT = 1_000

# What is wrong, by pydantic's type of an error or by one of our own; what stands in braces is the error's context.
SENTENCES = {
    "missing": "is required",
    "unknown_field": "is not known; the fields are {known}",
    "no_fields": "is not known; nothing can be asked for here",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "string_type": "must be a string",
    "string_unicode": "must not have a lone surrogate, which is not a character",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must not have a NUL character",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "too_long": "must have at most {max_length} entries: send the keys in several batches",
    "answer_too_large": "the answer might not fit into 6 MB: send the keys in several batches",
    "idp_in_course": "idp is for new enrollments in a program, not in a course",
    "neither_way": "must have create, update or both",
    "no_curriculum": "each row needs a curriculum_uuid to be created",
    "list_type": "must be a list",
    "keys_alike": "{a} and {b} differ only in case",
}
# What the router puts before the place of a fault.
PARTS = {("body",), ("path",)}
ANY_OTHER = "is not valid"
TOO_LARGE = {"too_long", "answer_too_large"}

Text = Annotated[str, BeforeValidator(lambda text: text[:LONGEST_TEXT]), Field(max_length=LONGEST_TEXT)]


class Detail(BaseModel):
    """One fault of a request."""

    model_config = ConfigDict(defer_build=True)  # few requests are refused
    where: Text
    what: Text


class Problem(BaseModel):
    """Why a request was not carried out."""

    model_config = ConfigDict(defer_build=True)
    message: Text
    details: Annotated[list[Detail], Field(max_length=MOST_DETAILS)] = []


class InvalidRequest(Exception):
    """The request is malformed or, if the status says so, too large; the details say what is wrong and where."""

    def __init__(
        self, message: str, details: Sequence[Detail] = (), status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(" ".join([message, *(f"{detail.where}: {detail.what}." for detail in details)]))
        self.message = message
        self.details = list(details)
        self.status = status


class Fields(BaseModel):
    """The fields of a request. One that is not known is refused, and the refusal names those that are."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    @model_validator(mode="wrap")
    @classmethod
    def _name_known_fields(cls, fields: object, read: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return read(fields)
        except ValidationError as error:
            known = ", ".join(cls.model_fields)
            faults = [_naming(known, fault) for fault in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, faults) from error


def read[F: Fields](model: type[F], fields: object) -> F:
    """Read the fields of a request; raise `InvalidRequest`."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False)) from error


def fault(kind: str, **context: object) -> PydanticCustomError:
    """A fault of a kind of our own, for validators to raise."""
    return PydanticCustomError(kind, SENTENCES[kind], context)


def invalid(errors: Iterable[Mapping[str, Any]]) -> InvalidRequest:
    """Put pydantic's errors into the words of the API."""
    errors = list(errors)
    too_large = any(error["type"] in TOO_LARGE for error in errors)
    return InvalidRequest(
        "The request is too large." if too_large else "The request is malformed.",
        [Detail(where=_where(error["loc"]), what=sentence(error)) for error in errors[:MOST_DETAILS]],
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST,
    )


def not_a_request(what: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> InvalidRequest:
    """Refuse a body as a whole."""
    return InvalidRequest("The body is not a request.", [Detail(where="body", what=what)], status)


def shown(part: str | int) -> str:
    """A part of the request as it can be shown: cut short, lone surrogates spelt out, and never empty."""
    return str(part)[:LONGEST_SHOWN].encode(errors="backslashreplace").decode() or '""'


def sentence(error: Mapping[str, Any]) -> str:
    """What is wrong, of one of pydantic's errors."""
    return SENTENCES.get(error["type"], ANY_OTHER).format_map(error.get("ctx", {}))


def _naming(known: str, error: Mapping[str, Any]) -> InitErrorDetails:
    """The same error again; if it is about an unknown field, with the known ones."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        kind, context = "unknown_field" if known else "no_fields", {"known": known}
    template = SENTENCES.get(kind, ANY_OTHER)
    return InitErrorDetails(type=PydanticCustomError(kind, template, context), loc=error["loc"], input=None)


def _where(location: Sequence[str | int]) -> str:
    """Where in the request a fault is; it ends in [key] if that is a key itself and not the username beside it."""
    return ".".join(map(shown, location[1:] if location[:1] in PARTS and location[1:] else location)) or "body"
