"""What the template promises: private, watched, and with the settings that the code reads."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import Lms
from tests.stack.stack import ROOT, mappings, of_type
from tests.support import Invoke

# Where the code of each function is, its share of the layer included.
FUNCTIONS = {
    "LinkFunction": ["functions/link", "layers/core"],
    "RosterFunction": ["functions/roster"],
    "MigrateFunction": ["functions/migrate", "layers/core/program_enrollments"],
}
# Not set by the stack: a password comes from an IAM token or a secret and the master user from the payload, Lambda
# itself sets the region, and the rest is for people at a shell.
AT_A_SHELL = {"PGCONNECT_TIMEOUT", "PGOPTIONS"}
NOT_IN_TEMPLATE = {
    "LinkFunction": {"PGPASSWORD", "AWS_REGION"} | AT_A_SHELL,
    "RosterFunction": set(),
    "MigrateFunction": {"PGUSER", "PGPASSWORD", "AWS_REGION"} | AT_A_SHELL,
}
MANAGED_POLICIES = {
    "service-role/AmazonAPIGatewayPushToCloudWatchLogs",  # access logs, once an account and region
}
# What AWS documents for a function in a network, for traces, and for the log of a state machine; none of them has
# resources that could be named.
WITHOUT_RESOURCES = [
    [
        *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
        *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
    ],
    ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    [
        *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
        *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
        "logs:DescribeLogGroups",
    ],
]
# The objects of the bucket of rosters, and the executions of their state machine, whose names nobody knows before.
WITHIN = ("${RosterBucket.Arn}/", ":execution:${AWS::StackName}-roster")
IN_NETWORK = sorted(FUNCTIONS.keys() - {"RosterFunction"})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_environment(resources: dict[str, Any], function: str) -> None:
    """A function gets exactly the settings that its code reads."""
    given = resources[function]["Properties"]["Environment"]["Variables"].keys()
    read = {name for folder in FUNCTIONS[function] for name in _settings_read(ROOT / folder)}
    assert given == read - NOT_IN_TEMPLATE[function]


def test_no_wildcards(resources: dict[str, Any]) -> None:
    """No policy allows a wildcard action, nor anything on every resource but where AWS has no resources to name."""
    statements = [
        each
        for role in of_type(resources, "AWS::IAM::Role").values()
        for each in mappings(role.get("Policies", []))
        if "Effect" in each
    ]
    assert len(statements) == 26
    assert not [each for each in statements if "*" in json.dumps(each["Action"])]
    wide = [each for each in statements if "*" in json.dumps(each["Resource"])]
    assert all(each["Action"] in WITHOUT_RESOURCES or _is_within(each["Resource"]) for each in wide)
    assert {each["Effect"] for each in statements} == {"Allow"}


def test_managed_policies(resources: dict[str, Any]) -> None:
    """Of AWS's own policies, roles have only those that AWS asks for."""
    roles = of_type(resources, "AWS::IAM::Role").values()
    arns = [arn["Fn::Sub"] for role in roles for arn in role.get("ManagedPolicyArns", [])]
    assert {arn.removeprefix("arn:${AWS::Partition}:iam::aws:policy/") for arn in arns} == MANAGED_POLICIES


def test_who_reaches_whom(resources: dict[str, Any]) -> None:
    """Only the function reaches the proxy or the existing database, and only proxy and migration the stack's own."""
    ingress = of_type(resources, "AWS::EC2::SecurityGroupIngress").values()
    assert sorted((_name(rule["SourceSecurityGroupId"]), _name(rule["GroupId"])) for rule in ingress) == [
        ("LinkSecurityGroup", "DatabaseSecurityGroupId"),
        ("LinkSecurityGroup", "ProxySecurityGroup"),
        ("MigrateSecurityGroup", "DatabaseSecurityGroup"),
        ("ProxySecurityGroup", "DatabaseSecurityGroup"),
    ]
    groups = of_type(resources, "AWS::EC2::SecurityGroup")
    assert not [group for group in groups.values() if "SecurityGroupIngress" in group]
    assert all(group["SecurityGroupEgress"] for group in groups.values())


def test_the_proxy_is_reached_on_its_own_port(resources: dict[str, Any]) -> None:
    """The function is let out, and into the proxy, on 5432: RDS Proxy listens on no other port."""
    out, into = resources["LinkSecurityGroup"]["Properties"]["SecurityGroupEgress"][0], resources["ProxyFromLink"]
    assert out["FromPort"] == out["ToPort"] == {"Fn::If": ["OwnDatabase", 5432, {"Ref": "DatabasePort"}]}
    assert into["Properties"]["FromPort"] == into["Properties"]["ToPort"] == 5432


def test_nothing_is_public(resources: dict[str, Any]) -> None:
    """The database has no public address, the network no way out, and no rule lets an address range in."""
    assert {database["PubliclyAccessible"] for database in of_type(resources, "AWS::RDS::DBInstance").values()} == {
        False
    }
    assert not {resource["Type"] for resource in resources.values()} & {
        "AWS::EC2::InternetGateway",
        "AWS::EC2::NatGateway",
        "AWS::EC2::EIP",
        "AWS::Lambda::Url",
    }
    rules = of_type(resources, "AWS::EC2::SecurityGroupIngress").values()
    assert not [rule for rule in rules if {"CidrIp", "CidrIpv6"} & rule.keys()]


def test_nobody_anonymous_invokes(resources: dict[str, Any]) -> None:
    """Each path asks who calls, but the page if it signs people in; each permission names a resource or an account."""
    for name, path in resources["Api"]["Properties"]["Body"]["paths"].items():
        for method, operation in path.items():
            condition, scopes, iam = operation["security"]["Fn::If"]
            assert (condition, iam) == ("OpensToCognito", [{"Iam": []}])
            is_page = name in {"/", "/page/{file+}", "/docs", "/openapi.json"} and method == "get"
            assert all(scope["Cognito"][0] == {"Ref": "CognitoScope"} for scope in scopes)
            assert (scopes == []) == is_page
            assert is_page or method == "get" or scopes == [{"Cognito": [{"Ref": "CognitoScope"}]}]
    for permission in of_type(resources, "AWS::Lambda::Permission").values():
        assert permission["Principal"] != "*"
        assert permission["Principal"] == {"Ref": "InvokingAccount"} or permission["SourceArn"]


@pytest.mark.parametrize("function", IN_NETWORK)
def test_functions_stand_in_the_network(resources: dict[str, Any], function: str) -> None:
    """Every function that reaches a database is in the VPC, in a security group of its own."""
    network = resources[function]["Properties"]["VpcConfig"]
    assert network["SubnetIds"]["Fn::If"][1] == [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}]
    assert network["SecurityGroupIds"] == [{"Ref": function.replace("Function", "SecurityGroup")}]
    assert set(of_type(resources, "AWS::Lambda::Function")) == set(FUNCTIONS)


def test_function_gives_up_before_the_api(resources: dict[str, Any]) -> None:
    """Lambda stops the function before API Gateway stops waiting, which is after 29 seconds."""
    assert resources["LinkFunction"]["Properties"]["Timeout"] == 28


def test_the_function_stays_awake(resources: dict[str, Any], lms: Lms) -> None:
    """Every week the function is asked for nothing, so that Lambda does not take its network interfaces back."""
    (rule,) = [rule for rule in of_type(resources, "AWS::Events::Rule").values() if "ScheduleExpression" in rule]
    assert rule["ScheduleExpression"] == "rate(7 days)"
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["LinkFunction", "Arn"]}
    assert lambda_handler(json.loads(target["Input"]), invocation())["linked"] == 0


def test_logs_are_kept_and_end(resources: dict[str, Any]) -> None:
    """Each function and the API log to a group of the stack, and each group has its retention."""
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert {json.dumps(group["RetentionInDays"]) for group in groups.values()} == {'{"Ref": "LogRetentionDays"}'}
    used = {
        _name(function["LoggingConfig"]["LogGroup"])
        for function in of_type(resources, "AWS::Lambda::Function").values()
    }
    used.add(_name(resources["Apiv1Stage"]["Properties"]["AccessLogSetting"]["DestinationArn"]))
    (machine,) = of_type(resources, "AWS::StepFunctions::StateMachine").values()
    (destination,) = machine["LoggingConfiguration"]["Destinations"]
    assert used | {_name(destination["CloudWatchLogsLogGroup"]["LogGroupArn"])} == set(groups)


def test_alarms_cover_every_function(resources: dict[str, Any]) -> None:
    """Each function's errors are an alarm, the service's throttles and duration too, and alarms notify the topic."""
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    watched = [
        (_name(dimension["Value"]), alarm["MetricName"])
        for alarm in alarms
        for dimension in alarm.get("Dimensions", [])
        if dimension["Name"] == "FunctionName"
    ]
    assert sorted(watched) == [
        ("LinkFunction", "DestinationDeliveryFailures"),
        ("LinkFunction", "Duration"),
        ("LinkFunction", "Errors"),
        ("LinkFunction", "Throttles"),
        ("MigrateFunction", "Errors"),
        ("RosterFunction", "Errors"),
    ]
    actions = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == actions for alarm in alarms)


def test_alarms_watch_what_is_measured(
    resources: dict[str, Any], lms: Lms, invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    """The metrics of the share of failed keys are among those that the function writes, dimensions included."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    invoke({"student-001": "alice", "student-002": "bob"})
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    measured = {
        (metrics["Namespace"], metric["Name"], tuple((name, record[name]) for name in dimensions)): record[
            metric["Name"]
        ]
        for record in written
        for metrics in record["_aws"]["CloudWatchMetrics"]
        for dimensions in metrics["Dimensions"]
        for metric in metrics["Metrics"]
    }
    watched = [
        each["Metric"] for each in mappings(resources["FailedKeysAlarm"]) if "MetricName" in each.get("Metric", {})
    ]
    assert [
        measured[
            metric["Namespace"],
            metric["MetricName"],
            tuple((each["Name"], each["Value"]) for each in metric["Dimensions"]),
        ]
        for metric in watched
    ] == [[2], [1], [0]]


def test_access_log_names_the_person(resources: dict[str, Any]) -> None:
    """The access log is one line of JSON, with the caller of a signed request and the client and user of a token."""
    logged = json.loads(resources["Apiv1Stage"]["Properties"]["AccessLogSetting"]["Format"])
    assert logged["caller"] == "$context.identity.userArn"
    assert logged["client"] == "$context.authorizer.claims.client_id"
    assert logged["username"] == "$context.authorizer.claims.username"


def test_a_snapshot_can_be_restored(resources: dict[str, Any]) -> None:
    """With a snapshot, the database gets none of the properties that the snapshot decides."""
    database = resources["Database"]["Properties"]
    assert database["DBSnapshotIdentifier"] == {"Ref": "DatabaseSnapshot"}
    for name, otherwise in {
        "DBName": {"Ref": "DatabaseName"},
        "MasterUsername": "postgres",
        "StorageEncrypted": True,
    }.items():
        assert database[name] == {"Fn::If": ["RestoresSnapshot", {"Ref": "AWS::NoValue"}, otherwise]}


def test_own_database_is_safe(template: dict[str, Any], resources: dict[str, Any]) -> None:
    """The stack's own database is encrypted, backed up, protected from deletion, and takes only TLS."""
    database = resources["Database"]
    assert database["DeletionPolicy"] == database["UpdateReplacePolicy"] == "Snapshot"
    kept = {
        name: database["Properties"][name] for name in ("ManageMasterUserPassword", "EnableIAMDatabaseAuthentication")
    }
    assert set(kept.values()) == {True}
    assert database["Properties"]["DeletionProtection"] == {"Ref": "DatabaseDeletionProtection"}
    assert template["Parameters"]["DatabaseDeletionProtection"]["Default"] == "true"
    assert database["Properties"]["BackupRetentionPeriod"] == {"Ref": "DatabaseBackupDays"}
    assert template["Parameters"]["DatabaseBackupDays"]["Default"] == 14
    assert resources["DatabaseParameters"]["Properties"]["Parameters"] == {"rds.force_ssl": "1"}
    assert resources["DatabaseProxy"]["Properties"]["RequireTLS"] is True


def test_nothing_holds_a_password(template: dict[str, Any]) -> None:
    """No parameter, variable or property of the template has a password."""
    names = {name for mapping in mappings(template) for name in mapping}
    assert {name for name in names if "password" in name.lower()} == {"ManageMasterUserPassword"}


def test_failed_invocations_are_kept(resources: dict[str, Any]) -> None:
    """What an asynchronous invocation asked for outlives its failure by two weeks, encrypted."""
    failure = resources["LinkFunctionEventInvokeConfig"]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
    assert failure == {"Fn::GetAtt": ["FailedInvocations", "Arn"]}
    assert resources["FailedInvocations"]["Properties"] == {
        "MessageRetentionPeriod": 14 * 24 * 3600,
        "SqsManagedSseEnabled": True,
    }


def test_every_parameter_is_used(template: dict[str, Any]) -> None:
    """Each parameter changes something, and each rule speaks of parameters that there are."""
    text = json.dumps({part: template[part] for part in ("Conditions", "Globals", "Resources")})
    unused = [name for name in template["Parameters"] if f'"Ref": "{name}"' not in text and f"${{{name}}}" not in text]
    assert unused == []


def _is_within(resource: Any) -> bool:  # noqa: ANN401 - an ARN or several
    """Whether a wildcard stands for nothing but what belongs to rosters."""
    arns = resource if isinstance(resource, list) else [resource]
    return all(any(part in arn["Fn::Sub"] for part in WITHIN) for arn in arns)


def _settings_read(folder: Path) -> set[str]:
    """The names that the Python files of a folder look up in os.environ."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in folder.rglob("*.py")]
    lookups = [_lookup(node) for tree in trees for node in ast.walk(tree)]
    return {str(lookup.value) for lookup in lookups if isinstance(lookup, ast.Constant)}


def _lookup(node: ast.AST) -> ast.expr | None:
    match node:
        case ast.Subscript(value=environ, slice=name) if ast.unparse(environ) == "os.environ":
            return name
        case ast.Call(func=ast.Attribute(value=environ, attr="get"), args=[name, *_]) if (
            ast.unparse(environ) == "os.environ"
        ):
            return name
        case ast.Call(func=ast.Name(id="_setting"), args=[name]):
            return name
    return None


def _name(reference: dict[str, Any]) -> str:
    """The resource or parameter that a Ref or GetAtt names."""
    return str(reference["Ref"] if "Ref" in reference else reference["Fn::GetAtt"][0])
