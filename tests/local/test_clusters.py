"""Embedded clusters and what is left of them."""

import os
import signal
from pathlib import Path

import pytest

from local.postgres import embedded_cluster
from tests.local.conftest import Start

HOLD = """
import signal
import pytest

from local.postgres import embedded_cluster
with embedded_cluster() as cluster:
    print(cluster.folder, cluster.process.pid, flush=True)
    signal.pause()
"""


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed(start: Start) -> None:
    """The folder of a cluster whose process was killed is removed with the next cluster; those in use stay."""
    killed, other = start("-c", HOLD), start("-c", HOLD)
    assert killed.stdout is not None
    assert other.stdout is not None
    abandoned, server = killed.stdout.readline().split()
    in_use, _ = other.stdout.readline().split()
    killed.kill()
    killed.wait()
    with embedded_cluster() as cluster:
        assert not Path(abandoned).exists()
        assert Path(in_use).exists()
        assert cluster.folder.exists()
    os.kill(int(server), signal.SIGQUIT)  # which it would do by itself within a minute
    other.send_signal(signal.SIGINT)
    other.wait()
    assert not Path(in_use).exists()
