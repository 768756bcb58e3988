"""What the template promises of rosters."""

from typing import Any

from tests.stack.stack import of_type


def test_the_bucket_of_rosters(template: dict[str, Any], resources: dict[str, Any]) -> None:
    """It is private, encrypted, versioned, forgets after 30 days by default, and takes nothing but TLS."""
    bucket = resources["RosterBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", {"Ref": "RosterRetentionDays"})
    assert template["Parameters"]["RosterRetentionDays"]["Default"] == 30
    (policy,) = of_type(resources, "AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_rosters_reach_no_database(template: dict[str, Any], resources: dict[str, Any]) -> None:
    """The roster function is outside of the network, and may use its bucket, its state machine, logs and a queue."""
    assert "VpcConfig" not in resources["RosterFunction"]["Properties"]
    (policy,) = template["Resources"]["RosterRole"]["Properties"]["Policies"]
    services = {
        action.partition(":")[0]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert services == {"logs", "xray", "sqs", "s3", "states"}


def test_executions_log_no_data(resources: dict[str, Any]) -> None:
    """The state machine's log has errors, without the data that it works on: keys and usernames."""
    (machine,) = of_type(resources, "AWS::StepFunctions::StateMachine").values()
    assert machine["LoggingConfiguration"]["Level"] == "ERROR"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
