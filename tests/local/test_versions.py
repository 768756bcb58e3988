"""The PostgreSQL versions that are claimed and deployed are those that are tested."""

import re

from tests.local.conftest import ROOT
from tests.stack.stack import of_type, read_template


def read(name: str) -> str:
    """The text of a file of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def test_versions() -> None:
    """CI tests on the oldest version that the README claims, and on the one that the stack deploys."""
    oldest = re.findall(r"on PostgreSQL\*\* \((\d+) or newer\)", read("README.md"))
    deployed = [
        database["EngineVersion"] for database in of_type(read_template()["Resources"], "AWS::RDS::DBInstance").values()
    ]
    assert re.findall(r"make test-on VERSION=(\d+)", read(".ci/run")) == oldest + deployed
    assert re.findall(r"^VERSION := (\d+)", read("Makefile"), re.MULTILINE) == oldest
