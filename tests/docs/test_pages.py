"""The documentation, run as it is printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from local.lms import Lms
from local.roster import load_sample_roster
from tests.docs.blocks import Block, read_blocks
from tests.gateway import gateway

CHECKOUT = Path(__file__).parents[2]
PAGES = [
    pytest.param(page, id=str(page.relative_to(CHECKOUT)), marks=() if page.name == "README.md" else pytest.mark.slow)
    for page in [CHECKOUT / "README.md", *sorted(CHECKOUT.glob("docs/*.md"))]
    if [*read_blocks(page)]
]
# Where `make run` serves.
ADDRESS = "http://127.0.0.1:8000"


def test_the_workflow_makes_what_there_is() -> None:
    """Each target that the workflow makes is one of the Makefile, and one job needs all of the others."""
    jobs = yaml.safe_load((CHECKOUT / ".github/workflows/ci.yml").read_text())["jobs"]
    commands = [step["run"].split() for job in jobs.values() for step in job["steps"] if "run" in step]
    made = {target for program, target, *_ in commands if program == "make"}
    assert made <= set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert {*jobs["gate"]["needs"], "gate"} == jobs.keys()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like the checkout, and takes what the commands write."""
    for entry in CHECKOUT.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_page(lms: Lms, server: dict[str, str], folder: Path, page: Path) -> None:
    """Each block of commands of a page prints what the page shows, one after the other, on the sample roster."""
    load_sample_roster(lms)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | server | {"PGDATABASE": os.environ["PGDATABASE"], "PATH": path, "COLUMNS": "120"}
    with gateway() as url:
        for block in read_blocks(page):
            ended = run(block, url, folder, environment)
            printed = ended.stdout.replace(url, ADDRESS)
            where = f"{page.name}, line {block.line}:\n{block.text}printed\n{printed}"
            assert ended.returncode == block.status, where
            if block.output is not None:
                assert comparable(printed, block) == comparable(block.output, block), where


def run(block: Block, url: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a block in a shell that stops at the first failure, or in Python."""
    interpreter = [sys.executable] if block.language == "python" else ["bash", "-euo", "pipefail"]
    return subprocess.run(
        [*interpreter, "-c", block.text.replace(ADDRESS, url)],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def comparable(output: str, block: Block) -> object:
    """An output as it is compared: JSON by its meaning, all else to the letter."""
    return json.loads(output) if block.output_language == "json" else output.strip("\n")
