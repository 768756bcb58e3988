"""PgBouncer in transaction mode, standing in for RDS Proxy: a session's next transaction may meet another server."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from local.postgres import free_port, system_user

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
MISSING = "PgBouncer is not here: apt-get install pgbouncer"


@contextmanager
def pgbouncer(server: Mapping[str, str], passwords: Mapping[str, str], pool_size: int = 20) -> Iterator[dict[str, str]]:
    """The PG* variables that lead through PgBouncer to a server, for users with their passwords."""
    assert PROGRAM is not None
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="program-linking-pgbouncer-"))
    (folder / "users").write_text("".join(f'"{user}" "{password}"\n' for user, password in passwords.items()))
    configuration = f"""
        [databases]
        * = host={server["PGHOST"]} port={server["PGPORT"]}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = trust
        auth_file = {folder}/users
        pool_mode = transaction
        default_pool_size = {pool_size}
        max_client_conn = 500
    """
    (folder / "ini").write_text(dedent(configuration))
    if (user := system_user()) is not None:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, folder / "ini"], stdout=log, stderr=log, user=user)
    try:
        while "process up" not in (folder / "log").read_text():
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield {"PGHOST": "127.0.0.1", "PGPORT": str(port)}
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)
