"""How many keys go through a state of Step Functions, which holds 256 KB."""

import json

import pytest

from local.lms import Lms
from tests.support import Invoke

STATE_BYTES = 256 * 1024
ABOUT_THE_INVOCATION_BYTES = 2_000  # what Step Functions puts beside the payload until `Output` takes it out


@pytest.mark.parametrize(
    ("keys", "key_length", "username_length"), [(250, 255, 150), pytest.param(1_000, 36, 30, marks=pytest.mark.slow)]
)
def test_answers_fit_into_a_state(lms: Lms, invoke: Invoke, keys: int, key_length: int, username_length: int) -> None:
    """The largest answer to as many keys as the page names fits: every key is held by an account with a long name."""
    lms.user("alice")
    sent = {}
    for number in range(keys):
        key = f"{number:0{key_length}}"
        lms.enrollment(key, user_id=lms.user(f"{number:0{username_length}}"))
        sent[key] = "alice"
    answer = invoke(sent)
    assert set(answer["error_codes"].values()) == {"conflict"}
    assert len(json.dumps(answer).encode()) + ABOUT_THE_INVOCATION_BYTES < STATE_BYTES
