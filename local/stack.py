"""The stack on a local AWS: `python -m local.stack`, or the parts of it for tests.

The built template goes through `sam deploy`, with what `local.stack_template` lists taken out. An embedded PostgreSQL
stands for the database of an LMS, and lets the service in by a password of the local AWS's Secrets Manager.
"""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml
from pg8000.native import Connection

from local.aws import ACCOUNT, REGION, ROOT, SECRET_KEY, LocalAws, local_aws
from local.lms import PROGRAM, Lms
from local.postgres import SUPERUSER, Cluster, embedded_cluster
from local.roster import load_sample_roster, sample_curl
from local.server import failing_in_a_sentence, forget_surroundings
from local.stack_template import for_engine
from program_enrollments.grants import grants
from program_enrollments.migrate import migrate
from program_enrollments.postgres.session import close

SAM = Path(sys.executable).with_name("sam")
NAME = "program-linking"
DATABASE = "openedx"
SERVICE_ROLE = "program_linking"
SECRET = "lms-database"  # noqa: S105 - its name
PASSWORD = "not a secret"  # noqa: S105 - it is none
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Service:
    """The stack on a local AWS, and the LMS's database beside it."""

    aws: LocalAws
    cluster: Cluster
    template: Path
    parameters: dict[str, str]
    name: str = NAME

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs by their names."""
        (stack,) = self.aws.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @property
    def url(self) -> str:
        """The API's address, before `/links`: the engine answers for the host name at a path."""
        api = self.outputs["ApiUrl"].removeprefix("https://").partition(".")[0]
        return f"{self.aws.url}/restapis/{api}/v1/_user_request_"

    def physical(self, logical_id: str) -> str:
        """The name that a resource of the template got."""
        cloudformation = self.aws.client("cloudformation")
        resource = cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(resource["StackResourceDetail"]["PhysicalResourceId"])

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a signed request to the API; a body that is not bytes goes as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.aws.signed(method, self.url + path, content, {"Content-Type": "application/json"})

    @contextmanager
    def lms(self) -> Iterator[Lms]:
        """The LMS's rows, over a connection of its own."""
        with connected(self.cluster, DATABASE) as connection:
            yield Lms(connection)

    def deploy(self, **changed: str) -> None:
        """Create or update the stack with `sam deploy` and the project's own options."""
        overrides = [f"{name}='{value}'" for name, value in (self.parameters | changed).items()]
        command = [str(SAM), "deploy", f"--config-file={ROOT / 'samconfig.toml'}", "--no-confirm-changeset"]
        command += [f"--stack-name={self.name}", f"--template-file={self.template}", "--no-progressbar"]
        run([*command, "--parameter-overrides", *overrides], self.aws.environment)

    def delete(self) -> None:
        """Delete the stack, and wait until it is gone."""
        cloudformation = self.aws.client("cloudformation")
        cloudformation.delete_stack(StackName=self.name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=self.name, WaiterConfig={"Delay": 1})


@contextmanager
def deployed_service(built: Path) -> Iterator[Service]:
    """Start a local AWS and a database, and deploy what `build` built."""
    rules = (f"host all {SERVICE_ROLE} 127.0.0.1/32 scram-sha-256",)
    with local_aws() as aws, embedded_cluster(rules=rules) as cluster:
        _make_database(cluster)
        service = Service(aws, cluster, _local_template(built), _parameters(aws, cluster))
        service.deploy()
        yield service


def build(folder: Path) -> Path:
    """Build the checkout with `sam build`; return the folder of the built template and all that it names."""
    run([str(SAM), "build", f"--build-dir={folder / 'build'}", f"--cache-dir={folder / 'cache'}"], {})
    return folder / "build"


@contextmanager
def connected(cluster: Cluster, database: str) -> Iterator[Connection]:
    """Connect to a database of the cluster as its superuser."""
    connection = Connection(SUPERUSER, host="127.0.0.1", port=cluster.port, database=database)
    try:
        yield connection
    finally:
        close(connection)


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run one of SAM's commands in the checkout; raise `RuntimeError` with its words if it fails."""
    settings = os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION} | environment
    ended = subprocess.run(
        command, cwd=ROOT, env=settings, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ended.stdout}")


def _local_template(built: Path) -> Path:
    template = for_engine(yaml.safe_load((built / "template.yaml").read_text()))
    path = built / "local.json"
    path.write_text(json.dumps(template))
    return path


def _make_database(cluster: Cluster) -> None:
    """A database with the LMS's tables, and the service's role, which has to give a password."""
    with connected(cluster, SUPERUSER) as connection:
        connection.run(f"CREATE DATABASE {DATABASE}")
        connection.run(f"CREATE ROLE {SERVICE_ROLE} LOGIN PASSWORD '{PASSWORD}'")
    with connected(cluster, DATABASE) as connection:
        migrate(connection)
        connection.run(grants(SERVICE_ROLE, DATABASE))


def _parameters(aws: LocalAws, cluster: Cluster) -> dict[str, str]:
    """What a person with an existing database would give; nothing looks at the network that it names."""
    login = json.dumps({"username": SERVICE_ROLE, "password": PASSWORD})
    secret = aws.client("secretsmanager").create_secret(Name=SECRET, SecretString=login)
    return {
        "Architecture": ARCHITECTURES[platform.machine()],
        "DatabaseHost": "127.0.0.1",
        "DatabasePort": str(cluster.port),
        "DatabaseSecretArn": secret["ARN"],
        "DatabaseSecurityGroupId": "sg-0abc",
        "VpcId": "vpc-0abc",
        "SubnetIds": "subnet-0a, subnet-0b",
    }


def main() -> None:
    """Deploy the stack with the sample roster beside it, say how to try it, and keep it until interrupted."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    forget_surroundings()
    print("Building and deploying to a local AWS, which takes about a minute …", flush=True)
    try:
        with (
            suppress(KeyboardInterrupt),
            failing_in_a_sentence(),
            deployed_service(build(ROOT / ".aws-sam")) as service,
        ):
            _serve(service)
    except RuntimeError as error:
        sys.exit(str(error))


def _serve(service: Service) -> None:
    with service.lms() as lms:
        load_sample_roster(lms)
    print(_to_try(service), flush=True)
    signal.pause()


def _to_try(service: Service) -> str:
    signed = f"curl -i --aws-sigv4 aws:amz:{REGION}:execute-api --user {ACCOUNT}:{SECRET_KEY}"
    exports = "\n".join(f"export {name}={value}" for name, value in service.aws.environment.items())
    return (
        f"\nThe API takes signed requests:\n\n{sample_curl(service.url).replace('curl -i', signed)}\n"
        f"\nThe command, the AWS CLI and SDKs find the stack, {service.name}, with these variables:\n\n{exports}\n"
        f".venv/bin/program-linking link {PROGRAM} student-009:learner009 --url {service.url}\n"
        "\nCtrl-C stops it and throws all of it away."
    )


if __name__ == "__main__":
    main()
