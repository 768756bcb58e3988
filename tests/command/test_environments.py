"""Broken surroundings: the command says in one line what to look at, and ends with 2, never with a traceback or 1."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.lms import PROGRAM, Lms
from program_linking.main import run
from tests.command.support import Link

COMMAND = str(Path(sys.executable).with_name("program-linking"))
API = "https://abcdef1234.execute-api.eu-west-1.amazonaws.com/v1"


# What a shell can do: the command, its status, and what it says; {link} and {enroll} are commands that work.
SHELLS = {
    "full": ("{link} a:b > /dev/full", 2, "Standard output cannot be written: No space left"),
    "closed output": ("{link} a:b >&-", 2, "Standard output is closed."),
    "closed error": ("{link} a:b 2>&-", 1, ""),
    "full error": ("{link} a:b -x 2>/dev/full", 2, ""),
    "all closed": ("{link} >&- 2>&-", 2, ""),
    "closed input": ("{link} --csv - <&-", 2, "Nothing was sent.\nthe file is empty"),
    "a reader that ends": ("{link} a:b | true", 0, ""),
    "help on a full disk": ("program-linking --help > /dev/full", 2, "No space left"),
    "an argument that is no text": ("{link} $'a\\xff:b'", 2, "has a lone surrogate"),
    "a name that is no text": ("{link} --csv $'\\xff'", 2, "\\udcff cannot be read: No such file"),
    "nothing set": ('env -i PATH="$PATH" program-linking --help', 0, ""),
    "impossible sizes": ("COLUMNS=² LINES=-1 TERMINAL_WIDTH=x TERM=x {link} --help", 0, ""),
    "a terminal without letters": ("LC_ALL=nonsense PYTHONIOENCODING=ascii {link} é:ë", 1, ""),
    "show on a full disk": ("program-linking show > /dev/full", 2, "No space left"),
    "show to closed output": ("program-linking show >&-", 2, "Standard output is closed."),
    "show with everything amiss": ("program-linking show --key $'\\xff' 2>&-", 2, ""),
    "enroll on a full disk": ("{enroll} > /dev/full", 2, "No space left"),
    "enroll with all closed": ("{enroll} >&- 2>&-", 2, ""),
    "enroll from closed input": ("{enroll} <&-", 2, "Nothing was sent.\nthe file is empty"),
    "a course that is no text": ("{enroll} --course $'\\xff'", 2, "the course key has a lone surrogate"),
    "grants on a full disk": ("program-linking grants a > /dev/full", 2, "No space left"),
    "grants to a reader that ends": ("program-linking grants a | true", 0, ""),
    "migrate on a full disk": ("PGUSER=postgres program-linking migrate > /dev/full", 2, "No space left"),
}
QUICK_SHELLS = {"full", "all closed", "an argument that is no text", "enroll from closed input"}


@pytest.mark.parametrize(
    ("shell", "status", "says"),
    [
        pytest.param(*case, id=name, marks=() if name in QUICK_SHELLS else pytest.mark.slow)
        for name, case in SHELLS.items()
    ],
)
def test_shells(lms: Lms, shell: str, status: int, says: str) -> None:
    """Whatever a shell hands over, the status is what it says, and there is no traceback."""
    link = f"program-linking link {PROGRAM}"
    enroll = f"printf 'student_key,status\\ns1,active\\n' | program-linking enroll {PROGRAM} --csv - --update"
    ended = subprocess.run(
        ["/bin/bash", "-c", shell.format(link=link, enroll=enroll)],
        env=os.environ | {"PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    err = ended.stderr.decode(errors="backslashreplace")
    assert says in err
    assert "Traceback" not in err
    assert ended.returncode == status, err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--csv", "/"], "/ cannot be read: Is a directory."),
        (["--csv", "nowhere/a.csv"], "nowhere/a.csv cannot be read: No such file or directory."),
        (["--csv", "/dev/zero"], "/dev/zero is larger than 200 MB."),
        (["a:b", "--errors", "nowhere/a.csv"], "nowhere/a.csv cannot be written: No such file or directory."),
        (["a:b", "--results", "/"], "/ cannot be written: Is a directory."),
        (["a:b", "--results", "/dev/full"], "/dev/full cannot be written: No space left on device."),
        (["a:b", "--csv", "\udcff"], "Give either KEY:USERNAME items or --csv FILE."),
        (["a:b", "--url", "https://\udcff"], "has more than a host, a port and the API's stage"),
        (["a:b", "--url", "https://user:word@example.org"], "has more than a host, a port and the API's stage"),
        (["a:b", "--url", "https://example.org?a=b"], "has more than a host, a port and the API's stage"),
        (["a:b", "--url", "https://["], "Invalid IPv6 URL"),
        (["a:b", "--url", "https://a:99999"], "Port out of range"),
        (["a:b", "--url", "https://a", "--token", "\udcff"], "this is not a token"),
        (["a:b", "--dryrun"], "No such option: --dryrun"),
        (["a:b", "--csv"], "requires an argument"),
    ],
)
def test_arguments(lms: Lms, link: Link, arguments: list[str], says: str) -> None:
    """What cannot be read, written or understood is said, and the status is 2."""
    ended = link(*arguments)
    assert (ended.status, says in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--csv", "/"], "/ cannot be read: Is a directory."),
        (["--csv", "nowhere/a.csv"], "nowhere/a.csv cannot be read: No such file or directory."),
        (["--csv", "/dev/zero"], "/dev/zero is larger than 200 MB."),
        (["--errors", "nowhere/a.csv"], "nowhere/a.csv cannot be written: No such file or directory."),
        (["--errors", "/dev/full"], "/dev/full cannot be written: No space left on device."),
        (["--errors", "{file}"], "--errors would overwrite the file that --csv reads."),
        (["--course", "\udcff"], "the course key has a lone surrogate"),
        (["--course", ""], "the course key is empty"),
        (["--course", "c" * 256], "the course key is longer than 255 characters"),
        (["--course", "a/b/c"], "The LMS does not know the course a/b/c"),
        (["--curriculum", "c"], "is not a valid UUID"),
        (["--idp", "\udcff"], "has a lone surrogate"),
        (["--url", "https://\udcff"], "has more than a host, a port and the API's stage"),
        (["--url", "http://127.0.0.1:1"], "cannot be reached: "),
        (["--token", "two words"], "this is not a token"),
        (["--relink"], "No such option: --relink"),
    ],
)
def test_arguments_of_enroll(
    lms: Lms,
    tmp_path: Path,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What enrolling cannot read, write or understand is said, the status is 2, and no row is left out in silence."""
    file = tmp_path / "enrollments.csv"
    file.write_text("student_key,status\ns1,ended\n", encoding="utf-8")
    given = [argument.format(file=file) for argument in arguments]
    csv = [] if "--csv" in given else ["--csv", str(file)]
    assert run(["enroll", PROGRAM, "--update", *csv, *given]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--key", ""], "--key is empty"),
        (["--key", "\udcff"], "--key has a lone surrogate"),
        (["--username", "u" * 151], "--username is longer than 150 characters"),
        (["--key", "a", "--username", "b"], "Give either --key or --username."),
        (["--key", "a", "--program", "p"], "is not a valid UUID"),
        (["p"], "is not a valid UUID"),
        (["--waiting"], "name it"),
        (["--url", "http://127.0.0.1:1"], "cannot be reached: "),
        (["--url", "https://\udcff"], "has more than a host, a port and the API's stage"),
    ],
)
def test_arguments_of_show(lms: Lms, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What showing cannot understand or reach is said, and the status is 2."""
    assert run(["show", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["lnk"], ["grants", "\udcff"], ["grants", ""], ["grants"], ["--nonsense"]])
def test_other_verbs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What no verb understands is refused in a line, with where to look."""
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines()) in {1, 2}) == ("", True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"HTTPS_PROXY": "nonsense://proxy"}, "HTTPS_PROXY, "),
        ({"HTTPS_PROXY": "socks5://127.0.0.1:1"}, "HTTPS_PROXY, "),
        ({"HTTPS_PROXY": "http://127.0.0.1:1"}, "cannot be reached: "),
        ({"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE"),
        ({"SSL_CERT_FILE": "/dev/null"}, "SSL_CERT_FILE"),
        ({"AWS_PROFILE": "nobody"}, "(The config profile (nobody) could not be found)"),
        ({"AWS_CONFIG_FILE": "/dev/stdin"}, "There are no AWS credentials"),
        ({"AWS_CONFIG_FILE": "{}/broken"}, "There are no AWS credentials"),
        ({"AWS_CONFIG_FILE": "{}/not-text"}, "There are no AWS credentials"),
        ({"AWS_SHARED_CREDENTIALS_FILE": "{}/broken"}, "There are no AWS credentials"),
        ({"AWS_SHARED_CREDENTIALS_FILE": "{}"}, "There are no AWS credentials"),
        ({"AWS_ACCESS_KEY_ID": "only half"}, "There are no AWS credentials"),
        ({"AWS_ROLE_ARN": "x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"}, "There are no AWS credentials"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "nonsense"}, "There are no AWS credentials"),
        ({"PROGRAM_LINKING_TOKEN": "two words"}, "this is not a token"),
    ],
)
def test_api_surroundings(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    says: str,
) -> None:
    """What is wrong with proxies, certificates, AWS settings or a token is said by each verb."""
    (tmp_path / "broken").write_text("[default\naws_access_key_id", encoding="utf-8")
    (tmp_path / "not-text").write_bytes(b"[default]\nregion = \xff\n")
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere", "HOME": "/nowhere"}
    if "PROXY" in "".join(changes) or "SSL" in "".join(changes):
        nothing["PROGRAM_LINKING_TOKEN"] = "token"  # noqa: S105 - it is none
    for name, value in {**nothing, **changes}.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    file = tmp_path / "enrollments.csv"
    file.write_text("student_key,status\ns1,ended\n", encoding="utf-8")
    for verb in (
        ["link", PROGRAM, "student-001:alice"],
        ["show"],
        ["enroll", PROGRAM, "--csv", str(file), "--update"],
        ["roster", "list", PROGRAM],
    ):
        status = run([*verb, "--url", API])
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert says in err


@pytest.mark.parametrize(
    "sign",
    [signal.SIGINT, *(pytest.param(sign, marks=pytest.mark.slow) for sign in (signal.SIGTERM, signal.SIGHUP))],
)
def test_interrupted_while_it_starts(tmp_path: Path, sign: signal.Signals) -> None:
    """A signal ends the command with 130 and one word, whenever it comes."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [COMMAND, "link", PROGRAM, "--csv", str(pipe)]
    # The pipe opens when the command has opened it too.
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process, pipe.open("wb"):
        process.send_signal(sign)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, b"Interrupted.\n")


def test_what_nobody_foresaw(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that nobody foresaw is a sentence too."""
    monkeypatch.setattr("program_linking.link.read_items", lambda *_, **__: 1 / 0)
    assert run(["link", PROGRAM, "a:b"]) == 2
    assert capsys.readouterr().err == "ZeroDivisionError: division by zero. Nobody foresaw this: please report it.\n"
