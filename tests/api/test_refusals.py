"""No words of pydantic's reach a caller."""

import string

import pytest
from pydantic_core._pydantic_core import list_all_errors

from lambda_runtime.refusals import ANY_OTHER, SENTENCES, Fields, InvalidRequest, read, sentence
from link_function.enrollment_requests import ProgramWriteRequest
from link_function.questions import EnrollmentsQuestion, ProgramsQuestion
from link_function.requests import LinkRequest
from local.lms import PROGRAM
from tests.api.support import keys
from tests.api.test_bad_input import OBJECTS

OF_OUR_OWN = {"unknown_field", "answer_too_large", "keys_alike"}
# What only Powertools or a payload that is no object asks pydantic for.
OF_NO_OBJECT = {"model_attributes_type", "model_type"}
BY_LENGTH = {"too_long", "answer_too_large"}
# What only questions, enrollments and rosters meet, each in the tests of their own.
ELSEWHERE = {
    *("no_fields", "int_type", "int_parsing", "float_type", "finite_number", "greater_than_equal", "less_than_equal"),
    *("literal_error", "idp_in_course", "neither_way", "no_curriculum", "list_type"),
}


def test_each_of_pydantics_errors_has_words_of_our_own() -> None:
    """Whatever pydantic can find, what it says about it is said by us, and nothing is left to fill in."""
    for error in list_all_errors():
        error_type = str(error["type"])
        context = dict(error.get("example_context") or {})
        said = sentence({"type": error_type, "msg": error["example_message_python"], "ctx": context})
        assert said != error["example_message_python"]
        assert said == ANY_OTHER or error_type in SENTENCES
        assert "{" not in said


ROWS: list[tuple[type[Fields], object]] = [
    (ProgramWriteRequest, {"program_uuid": PROGRAM, "enrollments": {}, "create": True}),
    (ProgramWriteRequest, {"program_uuid": PROGRAM, "enrollments": []}),
    (
        ProgramWriteRequest,
        {"program_uuid": PROGRAM, "enrollments": [{"student_key": "k", "status": "enrolled"}], "create": True},
    ),
    (ProgramsQuestion, {"colour": "blue"}),
    (EnrollmentsQuestion, {"page_size": "many"}),
    (EnrollmentsQuestion, {"page_size": "0"}),
    (EnrollmentsQuestion, {"page_size": "1001"}),
    (EnrollmentsQuestion, {"status": "gone"}),
]


def test_the_table_has_what_these_requests_meet() -> None:
    """Bad requests of every kind meet each sentence of the table, and none that says no more than "not valid"."""
    met = set(OF_NO_OBJECT)
    links = [fields for fields, _ in OBJECTS.values()] + [keys({str(n): "a" for n in range(10_001)})]
    requests: list[tuple[type[Fields], object]] = [*((LinkRequest, fields) for fields in links), *ROWS]
    for model, fields in requests:
        with pytest.raises(InvalidRequest) as refusal:
            read(model, fields)
        for detail in refusal.value.details:
            assert detail.what != ANY_OTHER
            met |= {kind for kind, template in SENTENCES.items() if _may_say(template, detail.what)}
    assert SENTENCES.keys() - BY_LENGTH - ELSEWHERE <= met


def _may_say(template: str, said: str) -> bool:
    parts = [part for part, *_ in string.Formatter().parse(template)]
    return said.startswith(parts[0]) and all(part in said for part in parts)
