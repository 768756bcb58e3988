"""The service in a container, as Lambda runs it: `python -m local.containers invoke EVENT` or `… api`.

`sam local` puts the function and its layer into Lambda's base image. The database is an embedded PostgreSQL with the
sample roster, which the container reaches through the engine's bridge.
"""

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

from local.postgres import embedded_cluster
from local.roster import sample_curl
from local.serve import fill_database, port_to_serve
from local.server import Refused, failing_in_a_sentence, forget_surroundings, is_own

ROOT = Path(__file__).parent.parent
SAM = Path(sys.executable).with_name("sam")
THIS_MACHINE = "host.docker.internal"
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
DEFAULT_PORT = 3000


def bridge() -> str:
    """The network of the engine's containers; empty if no engine answers."""
    if (docker := shutil.which("docker")) is None:
        return ""
    command = [docker, "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


@contextmanager
def sample_service(network: str, build: Path) -> Iterator[list[str]]:
    """Start the database of a service that is built, which PG* name; give the options that `sam local` takes."""
    addresses, rules = f"127.0.0.1,{_address_in(network)}", (f"host all all {network} trust",)
    with embedded_cluster(addresses, rules=rules) as cluster, tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        os.environ |= cluster.environment
        variables = {"PGHOST": THIS_MACHINE, "DB_IAM_AUTH": "false", "DB_SECRET_ARN": ""}
        json.dump({"LinkFunction": cluster.environment | variables}, file)
        file.flush()
        fill_database()
        yield [
            f"--template={build / 'template.yaml'}",
            f"--env-vars={file.name}",
            f"--add-host={THIS_MACHINE}:host-gateway",
            f"--parameter-overrides=Architecture={ARCHITECTURES[platform.machine()]}",
            "--skip-pull-image",  # unless it is not there at all
        ]


def start_sam(*arguments: str, stdout: int | None = None) -> "subprocess.Popen[str]":
    """Start `sam local`; it removes its containers when it is done or terminated."""
    return subprocess.Popen([SAM, "local", *arguments], cwd=ROOT, env=_environment(), stdout=stdout, text=True)


def main() -> int:
    """Invoke the function once, or serve its API until interrupted."""
    with failing_in_a_sentence():
        if is_own():
            raise Refused("Containers use the embedded PostgreSQL only: leave SERVER=own out.")
        forget_surroundings()
        port = port_to_serve(DEFAULT_PORT)
        if not (network := bridge()):
            raise Refused("There is no container engine: start Docker, or whatever else `docker` leads to.")
        build = ROOT / ".aws-sam" / "build"
        subprocess.run(
            [SAM, "build", f"--build-dir={build}"], cwd=ROOT, env=_environment(), check=True, stdout=sys.stderr
        )
        with sample_service(network, build) as options:
            match sys.argv[1:]:
                case ["invoke", event]:
                    return _wait(start_sam("invoke", "LinkFunction", f"--event={event}", *options))
                case ["api"]:
                    print(f"{sample_curl(f'http://127.0.0.1:{port}')}\n\nCtrl-C stops it.", flush=True)
                    return _wait(start_sam("start-api", f"--port={port}", "--warm-containers=LAZY", *options))
        raise Refused(str(__doc__))


def _wait(sam: "subprocess.Popen[str]") -> int:
    # Ctrl-C reaches SAM by itself; its containers and the database are there until it has done with them.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sam.terminate())
    return sam.wait()


def _address_in(network: str) -> str:
    """The address that this machine has for the containers: the one that it would send to them from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((str(ip_network(network)[-2]), 9))
        return str(probe.getsockname()[0])


def _environment() -> dict[str, str]:
    """What SAM sees: nothing that makes it wait for an answer from outside this machine."""
    return os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}


if __name__ == "__main__":
    sys.exit(main())
