"""What `local.mutants` adds to conftest.py, where each test run is a process forked from one that has run the tests."""

import logging
import os
import signal
import sys
from typing import NoReturn

import hypothesis
import pytest

from lambda_runtime.connection import _secrets
from lambda_runtime.observability import logger


class OutOfTime(BaseException):
    """Fails the test that has met its time limit, so that it ends the servers that it started."""


def fail(*_: object) -> NoReturn:
    """End the test that runs, when its signal comes."""
    raise OutOfTime


signal.signal(signal.SIGXCPU, fail)

# It must not keep the output of the test run in which it was imported.
assert isinstance(logger.registered_handler, logging.StreamHandler)
logger.registered_handler.setStream(sys.__stdout__)

# One failure is enough: no smaller example is looked for.
hypothesis.settings.register_profile(
    "mutants", phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate], derandomize=True
)
hypothesis.settings.load_profile("mutants")


@pytest.fixture(scope="session")
def worker_id() -> str:
    """Mutants that are tested at once must not clone their databases under the same names."""
    return f"mutant{os.getpid()}"


@pytest.fixture(autouse=True)
def nothing_made_before() -> None:
    """Make again what is made once in a process: it was made before it was mutated."""
    _secrets.cache_clear()
