"""A bucket for rosters, the state machine's walk in this process, and learners to link."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from local.lms import Lms
from roster_function import bucket, cutting, machine
from tests.rosters.support import BUCKET, Machine


@pytest.fixture
def rosters(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """An empty bucket with versions, as the template has it, and a machine that waits for executions."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "ROSTER_BUCKET": BUCKET,
        "ROSTER_CONCURRENCY": "4",
        "ROSTER_MACHINE_ARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:rosters",
    }.items():
        monkeypatch.setenv(name, value)
    walker = Machine()
    monkeypatch.setattr(machine, "start", walker.start)
    monkeypatch.setattr(machine, "end", walker.end)
    with mock_aws():
        bucket.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        bucket.s3().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield walker


@pytest.fixture
def cohort(lms: Lms) -> Lms:
    """Twenty accounts, user0 to user19, and a waiting enrollment for each, key0 to key19."""
    for number in range(20):
        lms.user(f"user{number}")
        lms.enrollment(f"key{number}")
    return lms


@pytest.fixture
def small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of four keys."""
    monkeypatch.setattr(cutting, "LARGEST", 1_500)
