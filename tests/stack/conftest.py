"""The template as a person writes it, and as CloudFormation gets it."""

from pathlib import Path
from typing import Any

import pytest

from tests.stack.artifact import Artifact
from tests.stack.artifact import artifact as read_artifact
from tests.stack.stack import read_template, transformed


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The template, with its short tags as mappings."""
    return read_template()


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    """The resources that CloudFormation is told to make."""
    return dict(transformed(template)["Resources"])


@pytest.fixture(scope="session")
def artifact(built: Path) -> Artifact:
    """What `sam build` makes of the checkout."""
    return read_artifact(built)
