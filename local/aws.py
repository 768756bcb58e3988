"""A local AWS: ministack, in an environment and a process of its own, on a port of 127.0.0.1.

It asks who calls, and what the policies of the caller's role allow. It proves nothing of a network, a proxy, TLS or any
timing.
"""

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.postgres import free_port

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".tools/stack/bin/python"
REGION = "eu-west-1"
ACCOUNT = "111122223333"
SECRET_KEY = "test"  # noqa: S105 - the engine takes any
START_SECONDS = 60.0
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class LocalAws:
    """Where the engine answers."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead an AWS SDK or command to the engine, as its administrator."""
        return {
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its classes as it runs
        """A boto3 client of a service."""
        session: Any = boto3.Session(ACCOUNT, SECRET_KEY, region_name=REGION)
        return session.client(service, endpoint_url=self.url)

    def signed(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request to an API, signed by the administrator."""
        request = AWSRequest(method, url, dict(headers or {}), body)
        SigV4Auth(Credentials(ACCOUNT, SECRET_KEY), "execute-api", REGION).add_auth(request)
        return httpx.request(method, url, content=body, headers=dict(request.headers), timeout=ANSWER_SECONDS)


@contextmanager
def local_aws() -> Iterator[LocalAws]:
    """A local AWS; its process, those of its functions, and their files are gone at the end."""
    port = free_port()
    aws = LocalAws(f"http://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory(prefix="program-linking-aws-") as folder, Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, ROOT / "local/engine.py"],
            env=_environment(port, folder),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(aws, process, Path(folder, "log"))
            yield aws
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the processes of the functions are of its group
            process.wait()


def _environment(port: int, folder: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": "true",  # a role may do what its policies say, and nothing else
        "IOT_MTLS_ENABLED": "0",  # it would listen on all interfaces
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.5",  # in place of a minute
        "SFN_WAIT_SCALE": "0.1",  # state machines wait a tenth before they try again
        "STATE_DIR": folder,
        "TMPDIR": folder,
    }


def _wait_for(aws: LocalAws, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{aws.url}/_ministack/health", timeout=1):  # noqa: S310 - it is http
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The local AWS did not start:\n{log.read_text()}")
