"""The stack, as far as moto's CloudFormation can create it, with each way to give it a database."""

import ast
import json
import os
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import boto3
import pytest
from moto import mock_aws

from local.lms import Lms
from tests.stack.artifact import Artifact
from tests.stack.stack import ARTIFACT, REGION, transformed
from tests.support import load_event

# What moto's CloudFormation does not know, or cannot make of valid properties. What refers to it gets its name.
NOT_IN_MOTO = {
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::ApiKey",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::StepFunctions::StateMachine",
}
PROXY_ARN = f"arn:aws:rds:{REGION}:123456789012:db-proxy:prx-0abc"
SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:lms-AbCdEf"
NETWORK_INTERFACES = {
    *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"),
    *("ec2:DescribeSubnets", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
}
ALARMS = [
    *("LinkErrorsAlarm", "LinkThrottlesAlarm", "LinkDurationAlarm"),
    *("ApiErrorsAlarm", "FailedKeysAlarm", "FailedInvocationsAlarm", "LostInvocationsAlarm"),
    *("RosterErrorsAlarm", "RosterFailedAlarm"),
]
DATABASE_ALARMS = ["MigrateErrorsAlarm", "DatabaseConnectionsAlarm", "DatabaseStorageAlarm"]

type Create = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def create(template: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Create]:
    """Create a stack with parameters, in an account of moto's; it gives the functions by their names."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    code = BytesIO()
    with ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")

    def create(**parameters: str) -> dict[str, dict[str, Any]]:
        bucket = boto3.resource("s3", region_name="us-east-1").create_bucket(Bucket=ARTIFACT["Bucket"])
        bucket.put_object(Key=ARTIFACT["Key"], Body=code.getvalue())
        boto3.client("cloudformation").create_stack(
            StackName="pl",
            TemplateBody=json.dumps(_as_moto_can(transformed(template))),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
        functions = boto3.client("lambda").list_functions()["Functions"]
        return {function["FunctionName"]: dict(function) for function in functions}

    with mock_aws():
        yield create


@pytest.mark.slow
def test_stack_with_its_own_database(create: Create) -> None:
    """Without parameters, the function goes through the stack's own proxy, with an IAM token and TLS."""
    functions = create()
    assert set(functions) == {"pl-link", "pl-migrate", "pl-roster"}
    environment = _environment(functions["pl-link"])
    assert environment.pop("ROSTER_BUCKET_URL").startswith("https://pl-rosterbucket-")
    assert environment == {
        "PGHOST": "DatabaseProxy.Endpoint",
        "PGPORT": "5432",
        "PGDATABASE": "openedx",
        "PGUSER": "program_linking",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/opt/certificates/rds.pem",
        "DB_IAM_AUTH": "true",
        "DB_SECRET_ARN": "",
        **dict.fromkeys(("COGNITO_URL", "COGNITO_CLIENT_ID", "COGNITO_LINK_SCOPE", "COGNITO_READ_SCOPE"), ""),
    }
    assert _allowed(functions["pl-link"])["rds-db:connect"] == (
        f"arn:aws:rds-db:{REGION}:123456789012:dbuser:prx-0abc/program_linking"
    )
    assert _environment(functions["pl-migrate"]) == {
        "PGHOST": "Database.Endpoint.Address",
        "PGPORT": "5432",
        "PGDATABASE": "openedx",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/opt/certificates/rds.pem",
        "SERVICE_ROLE": "program_linking",
    }
    assert set(_allowed(functions["pl-migrate"])) == NETWORK_INTERFACES | {
        *("logs:CreateLogStream", "logs:PutLogEvents"),
        *("xray:PutTraceSegments", "xray:PutTelemetryRecords"),
    }


@pytest.mark.parametrize(
    ("parameters", "settings", "allowed"),
    [
        (
            {"DatabaseResourceId": "db-ABC"},
            ("true", ""),
            ("rds-db:connect", f"arn:aws:rds-db:{REGION}:123456789012:dbuser:db-ABC/program_linking"),
        ),
        pytest.param(
            {"DatabaseSecretArn": SECRET_ARN},
            ("false", SECRET_ARN),
            ("secretsmanager:GetSecretValue", SECRET_ARN),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_stack_on_an_existing_database(
    create: Create, parameters: dict[str, str], settings: tuple[str, str], allowed: tuple[str, str]
) -> None:
    """Beside an existing database the stack makes none and no migration, and logs in with IAM or with one secret."""
    functions = create(**_network(), DatabaseHost="db.lms.example", **parameters)
    assert set(functions) == {"pl-link", "pl-roster"}
    environment = _environment(functions["pl-link"])
    assert environment["PGHOST"] == "db.lms.example"
    assert (environment["DB_IAM_AUTH"], environment["DB_SECRET_ARN"]) == settings
    permissions = _allowed(functions["pl-link"])
    assert permissions[allowed[0]] == allowed[1]
    assert not {"rds-db:connect", "secretsmanager:GetSecretValue"} - {allowed[0]} & permissions.keys()
    assert len(boto3.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]) == 1


@pytest.mark.slow
def test_the_page_is_settings_where_people_sign_in(create: Create) -> None:
    """With a pool, its client and the host of its pages, the page has what it needs to sign people in."""
    functions = create(
        CognitoUserPoolArn="arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_example",
        CognitoScope="program-linking/link",
        CognitoReadScope="program-linking/read",
        CognitoDomain="sign-in.example.edu",
        CognitoClientId="1example23456789",
    )
    environment = _environment(functions["pl-link"])
    assert {name: value for name, value in environment.items() if name.startswith("COGNITO_")} == {
        "COGNITO_URL": "https://sign-in.example.edu",
        "COGNITO_CLIENT_ID": "1example23456789",
        "COGNITO_LINK_SCOPE": "program-linking/link",
        "COGNITO_READ_SCOPE": "program-linking/read",
    }


@pytest.mark.slow
def test_dashboard(create: Create) -> None:
    """The dashboard is JSON, begins with all alarms, and shows the database."""
    create()
    alarms, *widgets = _widgets()
    assert alarms["properties"]["alarms"] == [f"{name}.Arn" for name in ALARMS + DATABASE_ALARMS]
    assert [widget["properties"]["title"] for widget in widgets] == [
        "Keys asked for and linked",
        "Why keys failed",
        "How long batches take, in milliseconds",
        "Invocations",
        "HTTP",
        "What the function warned of (no keys or usernames here)",
        "Database",
    ]


@pytest.mark.slow
def test_dashboard_beside_an_existing_database(create: Create) -> None:
    """A database that the stack does not own is not on its dashboard."""
    create(**_network(), DatabaseHost="db.lms.example", DatabaseResourceId="db-ABC")
    alarms, *widgets = _widgets()
    assert alarms["properties"]["alarms"] == [f"{name}.Arn" for name in ALARMS]
    assert "Database" not in [widget["properties"]["title"] for widget in widgets]


@pytest.mark.slow
def test_lists_take_spaces(create: Create) -> None:
    """A space after the comma in a list of subnets does no harm."""
    network = _network()
    subnets = network["SubnetIds"].split(",")
    function = create(
        **network | {"SubnetIds": " , ".join(subnets)}, DatabaseHost="db.lms.example", DatabaseResourceId="db-ABC"
    )["pl-link"]
    assert function["VpcConfig"]["SubnetIds"] == subnets


@pytest.mark.slow
def test_zones_can_be_chosen(create: Create) -> None:
    """The stack's own subnets are in the zones that a parameter names, or in the region's first two."""
    create(AvailabilityZones=f"{REGION}b, {REGION}c")
    subnets = boto3.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["false"]}])["Subnets"]
    assert sorted(subnet["AvailabilityZone"] for subnet in subnets) == [f"{REGION}b", f"{REGION}c"]


@pytest.mark.slow
def test_the_proxy_has_a_port_of_its_own(create: Create) -> None:
    """Whatever the port of the stack's own database is, the function reaches the proxy on 5432."""
    functions = create(DatabasePort="6000")
    assert _environment(functions["pl-link"])["PGPORT"] == "5432"
    assert _environment(functions["pl-migrate"])["PGPORT"] == "6000"


@pytest.mark.slow
def test_an_existing_database_keeps_its_port(create: Create) -> None:
    """The function reaches an existing database on the port that a parameter gives."""
    functions = create(**_network(), DatabaseHost="db.lms.example", DatabasePort="6000", DatabaseResourceId="db-ABC")
    assert _environment(functions["pl-link"])["PGPORT"] == "6000"


@pytest.mark.slow
def test_named_callers_may_invoke(create: Create) -> None:
    """The function's policy names the API, and the account and the service that parameters name, and nobody else."""
    rule = f"arn:aws:events:{REGION}:123456789012:rule/nightly"
    create(InvokingAccount="210987654321", InvokingService="events.amazonaws.com", InvokingSourceArn=rule)
    policy = json.loads(boto3.client("lambda").get_policy(FunctionName="pl-link")["Policy"])
    assert sorted(json.dumps(statement["Principal"]) for statement in policy["Statement"]) == [
        '"210987654321"',
        '{"Service": "apigateway.amazonaws.com"}',
        '{"Service": "events.amazonaws.com"}',
        '{"Service": "events.amazonaws.com"}',  # the rule of the stack that keeps the function awake
    ]


@pytest.mark.slow
@pytest.mark.xdist_group("artifact")
def test_created_function_links(create: Create, artifact: Artifact, lms: Lms) -> None:
    """The handler that the stack names, with the environment that it gives, links once it reaches a database."""
    function = create()["pl-link"]
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    reached = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    environment = _environment(function) | reached | {"PGSSLMODE": "prefer", "DB_IAM_AUTH": "false"}
    answer = artifact.invoke("LinkFunction", load_event("direct-link"), environment, function["Handler"])
    assert answer["linked"] == 1


def _network() -> dict[str, str]:
    """A network beside an existing database, and the parameters that name it."""
    ec2 = boto3.resource("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")
    subnets = [vpc.create_subnet(CidrBlock=f"10.0.{number}.0/24") for number in (1, 2)]
    group = vpc.create_security_group(GroupName="lms", Description="lms")
    return {
        "VpcId": vpc.id,
        "SubnetIds": ",".join(subnet.id for subnet in subnets),
        "DatabaseSecurityGroupId": group.id,
    }


def _environment(function: dict[str, Any]) -> dict[str, str]:
    """A function's environment; Lambda makes strings of numbers, and moto does not."""
    return {name: str(value) for name, value in function["Environment"]["Variables"].items()}


def _allowed(function: dict[str, Any]) -> dict[str, Any]:
    """What a function's role may do, and on what."""
    iam, role = boto3.client("iam"), function["Role"].rpartition("/")[2]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    # moto keeps the document as Python prints it.
    document = ast.literal_eval(str(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]))
    return {
        action: statement["Resource"]
        for statement in document["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def _widgets() -> list[dict[str, Any]]:
    body = boto3.client("cloudwatch").get_dashboard(DashboardName="pl")["DashboardBody"]
    return list(json.loads(body)["widgets"])


def _as_moto_can(template: dict[str, Any]) -> dict[str, Any]:
    absent = {name for name, resource in template["Resources"].items() if resource["Type"] in NOT_IN_MOTO}
    present = {name: resource for name, resource in template["Resources"].items() if name not in absent}
    for resource in present.values():
        if resource.get("DependsOn") in absent:
            del resource["DependsOn"]
    return dict(_named(template | {"Resources": present}, absent))


def _named(node: Any, absent: set[str]) -> Any:  # noqa: ANN401 - any part of a template
    """The node with names where it refers to what is absent."""
    match node:
        case {"Ref": str(name)} if name in absent:
            return name
        case {"Fn::GetAtt": [name, *attribute]} if name in absent:
            return _attribute(".".join([name, *attribute]))
        case dict():
            return {key: _named(value, absent) for key, value in node.items()}
        case list():
            return [_named(value, absent) for value in node]
        case str():
            return re.sub(r"\$\{((\w+)[\w.]*)\}", lambda found: found[1] if found[2] in absent else found[0], node)
    return node


def _attribute(name: str) -> str:
    return PROXY_ARN if name == "DatabaseProxy.DBProxyArn" else name
