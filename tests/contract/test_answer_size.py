"""Section 2: an answer fits into the 6 MB that Lambda gives, with as much of each message as that allows."""

import json
from uuid import UUID

from local.lms import PROGRAM
from program_enrollments import Code
from schemas import LinkResponse, fitting


def test_long_messages_are_cut() -> None:
    """Where messages quote too much, each is cut short, and the answer is nearly as large as it may be."""
    errors = {f"{number:05}{'k' * 150}": "m" * 1_000 for number in range(10_000)}
    cut = fitting(errors)
    codes = dict.fromkeys(errors, Code.INTEGRITY_ERROR)
    body = LinkResponse(program_uuid=UUID(PROGRAM), linked=0, errors=cut, error_codes=codes).model_dump_json()
    assert 5_500_000 < len(json.dumps(body, ensure_ascii=False).encode()) < 6_000_000
    assert list(cut) == list(errors)
    assert set(cut.values()) == {"m" * (len(cut[next(iter(cut))]) - 1) + "…"}


def test_short_messages_stay() -> None:
    """Messages that fit are whole."""
    errors = {"student-001": "m" * 1_000}
    assert fitting(errors) == errors
