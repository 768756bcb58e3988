"""What is deployed, built and run."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from local.lms import Lms
from tests.stack.artifact import Artifact
from tests.stack.stack import ROOT
from tests.support import load_event

# One worker builds it, and the other does something else.
pytestmark = pytest.mark.xdist_group("artifact")

MEGABYTE = 1_000_000


def test_layer_is_small(artifact: Artifact) -> None:
    """The layer takes less than 25 MB unzipped."""
    assert sum(file.stat().st_size for file in artifact.layer.rglob("*") if file.is_file()) < 25 * MEGABYTE


def test_layer_serves_both_architectures(artifact: Artifact) -> None:
    """Each compiled file is there for either architecture, under Python 3.13's name for it."""
    compiled = sorted((artifact.layer / "python").rglob("*.so"))
    assert [file.name for file in compiled] == [
        "_pydantic_core.cpython-313-aarch64-linux-gnu.so",
        "_pydantic_core.cpython-313-x86_64-linux-gnu.so",
    ]
    assert [_machine(file) for file in compiled] == [0xB7, 0x3E]


def test_layer_holds_what_it_should(artifact: Artifact) -> None:
    """The layer holds the core, what it imports with its bytecode, the CAs, and neither boto3 nor a command."""
    top = {entry.name for entry in (artifact.layer / "python").iterdir() if not entry.name.endswith(".dist-info")}
    assert top == {
        *("annotated_types", "asn1crypto", "aws_lambda_powertools", "dateutil", "jmespath", "pg8000", "pydantic"),
        *(
            "pydantic_core",
            "program_enrollments",
            "lambda_runtime",
            "scramp",
            "six.py",
            "typing_extensions.py",
            "typing_inspection",
        ),
        "__pycache__",
    }
    assert (artifact.layer / "certificates/rds.pem").read_bytes() == (
        ROOT / "layers/core/certificates/rds.pem"
    ).read_bytes()
    assert list((artifact.layer / "python/program_enrollments/migrations").glob("0001*.sql"))
    assert list((artifact.layer / "python/pg8000/__pycache__").glob("native.cpython-313.pyc"))


@pytest.mark.slow
def test_layer_is_built_without_python_too(tmp_path: Path) -> None:
    """Without a Python 3.13 on the machine the layer is the same but for the bytecode."""
    command = [
        "make",
        "-f",
        str(ROOT / "layers/core/Makefile"),
        "build-CoreLayer",
        "PYTHON=",
        f"ARTIFACTS_DIR={tmp_path}/layer",
    ]
    (tmp_path / "layer").mkdir()
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "layer/python/pydantic_core/_pydantic_core.cpython-313-aarch64-linux-gnu.so").exists()
    assert not list((tmp_path / "layer").rglob("*.pyc"))


@pytest.mark.slow
def test_artifact_answers(artifact: Artifact) -> None:
    """Nothing but the artifact is needed to answer a request that asks for nothing, and to show the documentation."""
    assert artifact.invoke("LinkFunction", load_event("direct-link") | {"external_keys_to_usernames": {}}, {}) == {
        "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
        "linked": 0,
        "errors": {},
        "error_codes": {},
    }
    page = artifact.invoke("LinkFunction", load_event("api-link") | {"path": "/docs", "httpMethod": "GET"}, {})
    assert page["statusCode"] == 200
    assert "swagger" in page["body"]


@pytest.mark.slow
def test_artifact_serves_the_page(artifact: Artifact) -> None:
    """The artifact has the page, under the address that the API has for whoever asks, and its files."""
    event = load_event("api-link") | {"path": "/", "httpMethod": "GET", "body": None}
    event["requestContext"] = event["requestContext"] | {"path": "/v1"}
    index = artifact.invoke("LinkFunction", event, {})
    assert index["statusCode"] == 200
    assert '<base href="/v1/">' in index["body"]
    files = re.findall(r'(?:href|src)="(page/[^"]+)"', index["body"])
    assert len(files) == 3
    for file in files:
        assert artifact.invoke("LinkFunction", event | {"path": f"/{file}"}, {})["statusCode"] == 200


def test_artifact_links(artifact: Artifact, lms: Lms) -> None:
    """The artifact links by itself in a real database, over HTTP and directly."""
    user = lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    database = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    answer = artifact.invoke("LinkFunction", load_event("api-link"), database)
    assert (answer["statusCode"], json.loads(answer["body"])["errors"]) == (
        207,
        {"student-002": "No user found with username bob"},
    )
    again = artifact.invoke("LinkFunction", load_event("direct-link"), database)
    assert again["error_codes"] == {"student-001": "already-linked", "student-002": "user-not-found"}
    assert lms.rows("student_courseenrollment", "user_id, mode") == [[user, "masters"]]


def _machine(file: Path) -> int:
    return int.from_bytes(file.read_bytes()[18:20], "little")
