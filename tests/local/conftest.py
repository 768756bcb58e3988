"""The programs of a developer's machine, started as `make` starts them, in environments that lead astray."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from local.postgres import free_port

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Production:
    """Somebody's database and AWS account: each connection is noted, and answered by nobody."""

    listener: socket.socket
    visitors: list[object]

    @property
    def environment(self) -> dict[str, str]:
        """All variables that lead there."""
        port = str(self.listener.getsockname()[1])
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": port,
            "PGUSER": "linker",
            "PGPASSWORD": "of production",
            "PGDATABASE": "edxapp",
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": "/nowhere/root.crt",
            "DB_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:production",
            "DB_IAM_AUTH": "true",
            "AWS_ACCESS_KEY_ID": "of-production",
            "AWS_SECRET_ACCESS_KEY": "of production",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_PROFILE": "production",
        }

    def receive(self) -> None:
        """Note who comes, until the listener is closed."""
        with suppress(OSError):
            while True:
                client, address = self.listener.accept()
                self.visitors.append(address)
                client.close()


@pytest.fixture
def production() -> Iterator[Production]:
    """What nothing here may connect to; at the end nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        production = Production(listener, [])
        Thread(target=production.receive, daemon=True).start()
        yield production
        listener.shutdown(socket.SHUT_RDWR)
    assert production.visitors == []


type Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python with arguments and variables; what still runs at the end is interrupted."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with process:
            process.terminate()


@dataclass(frozen=True)
class Service:
    """What `make run` started, and the instructions that it printed."""

    process: "subprocess.Popen[str]"
    url: str
    instructions: str

    def stop(self, sign: signal.Signals) -> tuple[int, str]:
        """Send a signal; return the exit status, and what was printed on standard error from first to last."""
        self.process.send_signal(sign)
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors


@pytest.fixture
def run(start: Start) -> Callable[..., Service]:
    """Start what `make run` starts, and wait until it serves."""

    def run(**environment: str) -> Service:
        port = free_port()
        process = start("-m", "local.serve", PORT=str(port), **environment)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        assert lines, process.communicate()
        return Service(process, f"http://127.0.0.1:{port}", "".join(lines))

    return run
