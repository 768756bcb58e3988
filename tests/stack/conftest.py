"""The template as a person writes it, and as CloudFormation gets it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.lms import Lms
from local.stack import Service
from tests.stack.artifact import Artifact
from tests.stack.artifact import artifact as read_artifact
from tests.stack.stack import read_template, transformed


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The template, with its short tags as mappings."""
    return read_template()


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    """The resources that CloudFormation is asked to make."""
    return dict(transformed(template)["Resources"])


@pytest.fixture(scope="session")
def artifact(built: Path) -> Artifact:
    """What `sam build` makes of the checkout."""
    return read_artifact(built)


@pytest.fixture
def deployed_lms(service: Service) -> Iterator[Lms]:
    """The LMS beside the deployed stack, with alice, whom the key student-001 waits for, and nobody else."""
    with service.lms() as lms:
        lms.run("TRUNCATE auth_user, course_overviews_courseoverview, program_enrollments_programenrollment CASCADE")
        lms.user("alice")
        lms.enrollment("student-001", [lms.course()])
        yield lms
