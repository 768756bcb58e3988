"""The command as a person installs it: from a wheel, into an environment with nothing else."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from local.lms import PROGRAM, Lms

CHECKOUT = Path(__file__).parents[2]
UV = str(CHECKOUT / ".tools" / "bin" / "uv")
# What was locked, so that the packages are in uv's cache already.
PINS = "requirements-dev.txt"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The folder of the programs of an environment into which the checkout's wheel was installed."""
    environment = tmp_path / "environment"
    python = str(environment / "bin" / "python")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, check=True, cwd=CHECKOUT, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    make = [UV, "venv", "-q", "--python", sys.executable, str(environment)]
    subprocess.run(make, check=True, cwd=CHECKOUT)
    install = [UV, "pip", "install", "-q", "--python", python, "-c", PINS, str(wheel)]
    subprocess.run(install, check=True, cwd=CHECKOUT)
    return environment / "bin"


@pytest.mark.builds
def test_an_installed_command(lms: Lms, server: dict[str, str], programs: Path, tmp_path: Path) -> None:
    """The command works outside of a checkout: the wheel brings all that it needs, migrations included."""
    lms.user("alice")
    lms.enrollment("student-001")
    database = server | {"PGDATABASE": os.environ["PGDATABASE"]}

    def program_linking(*arguments: str) -> str:
        command = [str(programs / "program-linking"), *arguments]
        return subprocess.run(command, check=True, cwd=tmp_path, env=database, stdout=subprocess.PIPE, text=True).stdout

    assert "0001_open_edx_tables.sql: in place\n" in program_linking("migrate")
    assert "1 of 1 keys: 1 linked" in program_linking("link", PROGRAM, "student-001:alice")
    assert 'TO "linking";' in program_linking("grants", "linking")
    assert program_linking("--version") == f"program-linking {version('program-linking')}\n"
