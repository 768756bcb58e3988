"""What the template does for a first deployment, and for those after it."""

import json
import tomllib
from typing import Any

from tests.stack.stack import ROOT, of_type


def test_trust_has_no_conditions(resources: dict[str, Any]) -> None:
    """No role asks for condition keys when it is assumed: RDS Proxy and API Gateway do not send them."""
    roles = of_type(resources, "AWS::IAM::Role").values()
    trust = [each for role in roles for each in role["AssumeRolePolicyDocument"]["Statement"]]
    assert [sorted(each) for each in trust] == [["Action", "Effect", "Principal"]] * len(roles)


def test_only_a_bucket_must_be_of_the_account(resources: dict[str, Any]) -> None:
    """A permission names an account only if its source is a bucket, whose ARN does not hold one."""
    permissions = of_type(resources, "AWS::Lambda::Permission")
    assert {name: each["SourceAccount"] for name, each in permissions.items() if "SourceAccount" in each} == {
        "ServiceInvokes": {"Fn::If": ["InvokedByS3", {"Ref": "AWS::AccountId"}, {"Ref": "AWS::NoValue"}]}
    }


def test_a_new_account_can_have_the_api(resources: dict[str, Any]) -> None:
    """Before the account's settings for API Gateway something else of API Gateway is there, and it opens nothing."""
    assert resources["Api"]["DependsOn"] == "ApiGatewayAccount"
    first = resources[resources["ApiGatewayAccount"]["DependsOn"]]
    assert first["Type"] == "AWS::ApiGateway::ApiKey"
    assert first["Condition"] == resources["ApiGatewayAccount"]["Condition"]
    assert first["Properties"]["Enabled"] is False


def test_a_failed_deployment_can_go_on() -> None:
    """A deployment that fails is not rolled back: the database, which refuses to be deleted, would not let it."""
    options = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert options["default"]["deploy"]["parameters"]["disable_rollback"] is True


def test_nothing_with_data_or_a_name_is_replaced(resources: dict[str, Any]) -> None:
    """The stack policy keeps whatever holds data, a fixed name or a place in the network from being replaced."""
    allowed, denied = json.loads((ROOT / "stack-policy.json").read_text())["Statement"]
    assert (allowed["Effect"], allowed["Action"], allowed["Resource"]) == ("Allow", "Update:*", "*")
    assert (denied["Effect"], denied["Action"]) == ("Deny", ["Update:Replace", "Update:Delete"])
    kinds = {"AWS::RDS::DBInstance", "AWS::RDS::DBProxy", "AWS::RDS::DBSubnetGroup"}
    kinds |= {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"}
    kept = {f"LogicalResourceId/{name}" for name, resource in resources.items() if resource["Type"] in kinds}
    assert set(denied["Resource"]) == kept


def test_parameters_say_what_cannot_be_changed(template: dict[str, Any]) -> None:
    """Each parameter that would replace the database or its proxy says that it is for the first deployment."""
    named = {
        name
        for name, parameter in template["Parameters"].items()
        if "only at the first deployment" in parameter.get("Description", "").lower()
    }
    assert named == {"VpcId", "SubnetIds", "AvailabilityZones", "DatabaseName", "DatabaseSnapshot"}


def test_warm_functions_give_their_sessions_back(resources: dict[str, Any]) -> None:
    """The proxy ends an idle connection after two minutes, and the dashboard shows the sessions that are pinned."""
    assert resources["DatabaseProxy"]["Properties"]["IdleClientTimeout"] == 120
    assert "DatabaseConnectionsCurrentlySessionPinned" in json.dumps(resources["Dashboard"])


def test_migrate_command_waits(template: dict[str, Any]) -> None:
    """The command that migrates names the region for both calls, and waits for longer than the function may take."""
    command = template["Outputs"]["MigrateCommand"]["Value"]["Fn::Sub"]
    assert command.count("aws ") == command.count("--region ${AWS::Region}") == 2
    waits = int(command.partition("--cli-read-timeout ")[2].split()[0])
    assert waits > template["Resources"]["MigrateFunction"]["Properties"]["Timeout"]
