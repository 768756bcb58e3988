"""The command with --url and the deployed API: signatures, regions, tokens and certificates."""

import hashlib
import hmac
import re
from pathlib import Path

import pytest

from tests.command.support import Api, Link, Received

NONE_LINKED = {"program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10", "linked": 0}
ALL_LINKED = {"program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10", "linked": 1, "errors": {}, "error_codes": {}}


def verify_signature(received: Received, region: str) -> None:
    """Compute the request's signature again, as AWS documents Signature Version 4, and compare."""
    authorization = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        received.headers["Authorization"],
    )
    assert authorization
    credential, names, signature = authorization.groups()
    moment = received.headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{region}/execute-api/aws4_request"
    assert credential == f"AKIDEXAMPLE/{scope}"
    assert names == "accept;content-type;host;x-amz-date;x-amz-security-token"
    sent = {name.lower(): value for name, value in received.headers.items()}
    canonical = "\n".join(
        [
            "POST",
            "/v1/links",
            "",
            *(f"{name}:{sent[name]}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(received.body).hexdigest(),
        ]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    for part in [*scope.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    assert key.hex() == signature


def test_the_deployed_api_is_signed_for(link: Link, deployed_api: Api) -> None:
    """A request over https has the caller's signature for execute-api, in the region that the URL names."""
    deployed_api.will_answer(200, ALL_LINKED)
    assert link("étudiant:alice", "--url", deployed_api.url).status == 0
    (received,) = deployed_api.received
    assert received.headers["Host"] == "abcdef1234.execute-api.eu-west-1.amazonaws.com"
    assert received.headers["X-Amz-Security-Token"] == "a-session-token"
    assert received.headers["Content-Type"] == "application/json"
    assert received.keys == ["étudiant"]
    assert "étudiant".encode() in received.body
    verify_signature(received, "eu-west-1")


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_a_domain_of_ones_own(
    link: Link, deployed_api: Api, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Where the URL names no region, the caller's AWS settings do."""
    monkeypatch.setenv(variable, "eu-central-1")
    deployed_api.will_answer(200, ALL_LINKED)
    assert link("student-001:alice", "--url", "https://links.example.org/v1").status == 0
    verify_signature(deployed_api.received[0], "eu-central-1")


@pytest.fixture
def no_credentials(deployed_api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who is not signed in to AWS."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_no_credentials(link: Link, deployed_api: Api, no_credentials: None) -> None:
    """A caller without AWS credentials is asked to sign in, and nothing is sent."""
    ended = link("student-001:alice", "--url", deployed_api.url)
    assert (ended.status, ended.err) == (
        2,
        "There are no AWS credentials to sign with: sign in, set AWS_PROFILE, or give --token.\n",
    )
    assert deployed_api.received == []


def test_an_unknown_profile(
    link: Link, deployed_api: Api, no_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with the caller's AWS settings is reported."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    ended = link("student-001:alice", "--url", deployed_api.url)
    assert ended.status == 2
    assert ended.err == (
        "There are no AWS credentials to sign with: sign in, set AWS_PROFILE, or give --token."
        " (The config profile (nobody) could not be found)\n"
    )


def test_no_region(link: Link, deployed_api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If neither the URL nor the settings name a region, the caller is asked to set one."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    ended = link("student-001:alice", "--url", "https://links.example.org/v1")
    assert (ended.status, ended.err) == (2, "The URL names no AWS region: set AWS_REGION.\n")


def test_a_certificate_that_does_not_fit(link: Link, deployed_api: Api) -> None:
    """An API that cannot prove its name is sent nothing."""
    ended = link("student-001:alice", "--url", "https://impostor.execute-api.eu-west-1.amazonaws.com/v1")
    assert ended.status == 2
    assert "CERTIFICATE_VERIFY_FAILED" in ended.err
    assert deployed_api.received == []


def test_a_token_is_sent(link: Link, deployed_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of --token or of PROGRAM_LINKING_TOKEN is sent, and no signature."""
    for _ in range(2):
        deployed_api.will_answer(200, ALL_LINKED)
    assert link("student-001:alice", "--url", deployed_api.url, "--token", "Bearer abc.def").status == 0
    monkeypatch.setenv("PROGRAM_LINKING_TOKEN", "abc.def\n")
    assert link("student-001:alice", "--url", deployed_api.url).status == 0
    for received in deployed_api.received:
        assert received.headers["Authorization"] == "Bearer abc.def"
        assert "X-Amz-Date" not in received.headers


def test_a_scheme_in_capitals_is_signed_for(link: Link, deployed_api: Api) -> None:
    """The scheme of a URL may be written in capitals: the request is signed all the same."""
    deployed_api.will_answer(200, ALL_LINKED)
    assert link("student-001:alice", "--url", deployed_api.url.replace("https", "HTTPS")).status == 0
    verify_signature(deployed_api.received[0], "eu-west-1")
