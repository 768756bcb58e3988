"""`make run`: what a person sees at the terminal."""

import re
import signal
import socket
import subprocess
from collections.abc import Callable

import pytest

from local.serve import port_to_serve
from local.server import Refused
from tests.local.conftest import ROOT, Service, Start

LINE = r'127\.0\.0\.1 - - \[[^]]+\] "%s HTTP/1\.1" %s -\n'


def curl(*arguments: str) -> str:
    """What curl prints."""
    return subprocess.run(["curl", "-s", *arguments], check=True, capture_output=True, text=True).stdout  # noqa: S607


@pytest.mark.parametrize(
    "sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=lambda sign: sign.name
)
def test_a_request_is_a_line(run: Callable[..., Service], sign: signal.Signals) -> None:
    """Each request has one line; the rest is in the file that is named; a signal ends it all, and removes the data."""
    service = run()
    answer = subprocess.run(
        ["bash", "-c", service.instructions[service.instructions.index("curl") :].partition("\n\n")[0]],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert answer.startswith("HTTP/1.1 207 ")
    curl(f"{service.url}/nowhere")
    curl(f"{service.url}/links", "-H", "Content-Length: much", "-d", "")
    status, errors = service.stop(sign)
    assert status == 0
    lines = [LINE % ("POST /links", 207), LINE % ("GET /nowhere", 404), LINE % ("POST /links", 411), "\nStopped\\.\n"]
    assert re.fullmatch("".join(lines), errors)
    assert "thrown away at the end" in service.instructions
    log = ROOT / re.findall(r"is in (\S+)\. Ctrl-C", service.instructions)[0]
    assert '"KeysLinked"' in log.read_text()
    log.unlink()


@pytest.mark.slow
def test_a_caller_who_leaves_is_no_traceback(run: Callable[..., Service]) -> None:
    """A connection that is cut in the middle of a request leaves nothing at the terminal."""
    service = run()
    port = int(service.url.rpartition(":")[2])
    for request in (
        b"POST /links HTTP/1.1\r\nContent-Length: 10\r\n\r\n{",
        b"\x16\x03\x01",
        b"GET /docs HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset at the end
            connection.sendall(request)
    assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{service.url}/openapi.json") == "200"
    assert "Traceback" not in service.stop(signal.SIGTERM)[1]


@pytest.mark.parametrize("port", ["abc", "80000", "0", "-1", "8e3", "٣", "9" * 5000])
def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    """A PORT that is none is refused."""
    monkeypatch.setenv("PORT", port)
    with pytest.raises(Refused, match=f"^PORT={port} is no port: use a number from 1 to 65535, or leave it out for 80"):
        port_to_serve(8000)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["local.serve", "local.containers"])
def test_a_port_that_is_none_at_the_terminal(start: Start, module: str) -> None:
    """That is one sentence, before anything is started."""
    process = start("-m", module, "api", PORT="80000")
    _, errors = process.communicate(timeout=120)
    assert errors.startswith("PORT=80000 is no port: ")
    assert (errors.count("\n"), process.returncode) == (1, 1)


def test_a_port_that_is_taken(start: Start) -> None:
    """A port that somebody else serves is refused in one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("-m", "local.serve", PORT=str(port))
        assert process.communicate(timeout=120) == (
            "",
            f"Port {port} cannot be had (Address already in use): name another one with PORT=…\n",
        )
    assert process.returncode == 1
