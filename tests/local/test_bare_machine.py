"""The first minute on a machine: no account for the embedded server, folders that nobody else may enter."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACCOUNT = f"program_linking_{os.getpid()}"
# Start a cluster as the account that is named, when asked to; say what it answers.
START = """
import os
import sys
from local import postgres
from program_enrollments import connect
postgres.SYSTEM_USER = sys.argv[1]
print("ready", flush=True)
sys.stdin.readline()
with postgres.embedded_cluster() as cluster:
    os.environ |= cluster.environment
    with connect() as connection:
        print(connection.run("SELECT 'it works'")[0][0], (cluster.folder / "data").owner())
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account to start PostgreSQL")


@pytest.fixture
def no_account() -> Iterator[None]:
    """An account's name that is free, and free again at the end."""
    yield
    remove_account()


def remove_account() -> None:
    """Remove the tests' account, if it is there."""
    subprocess.run(["userdel", ACCOUNT], check=False, capture_output=True)  # noqa: S607 - wherever it is


def start_cluster(**environment: str) -> "subprocess.Popen[str]":
    """Start a process that is about to start a cluster."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, ACCOUNT],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Let it start the cluster; return what it prints."""
    return process.communicate("now\n", timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_two_clusters_start_at_once_without_an_account(no_account: None, attempt: int) -> None:
    """Two processes that start a cluster each, at once, as an account that does not exist yet, both get theirs."""
    processes = [start_cluster(), start_cluster()]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(finish, processes))
    assert answers == [(f"it works {ACCOUNT}\n", "")] * 2


@pytest.mark.slow
def test_a_private_folder_for_temporary_files(no_account: None, tmp_path: Path) -> None:
    """The account reaches the cluster's files below a folder that only root may enter, and may not list that folder."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    assert finish(start_cluster(TMPDIR=str(private))) == (f"it works {ACCOUNT}\n", "")
    assert private.stat().st_mode & 0o777 == 0o711
