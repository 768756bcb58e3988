"""What the command says of a broken environment."""

import re
from collections.abc import Iterator

import pytest

from local.lms import PROGRAM
from program_linking.main import run
from tests.faults.environments import ENVIRONMENTS, Servers
from tests.faults.environments import servers as start_servers


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """The servers that the rows lead to."""
    with start_servers() as servers:
        yield servers


@pytest.mark.parametrize("name", [name for name, row in ENVIRONMENTS.items() if not row.aws])
def test_command(
    name: str, servers: Servers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken environment is exit status 2 and one line on standard error, which says what to look at."""
    row = ENVIRONMENTS[name]
    with row.broken(servers) as variables:
        for variable, value in variables.items():
            monkeypatch.delenv(variable, raising=False) if value is None else monkeypatch.setenv(variable, value)
        assert run(["link", PROGRAM, "student-001:alice"]) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1), printed.err
    assert re.search(row.says, printed.err)
