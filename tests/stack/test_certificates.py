"""Whom the layer trusts."""

import ssl
import time

import certifi
import pytest

from local.certificates import common_name
from tests.stack.stack import ROOT

BUNDLE = ROOT / "layers/core/certificates/rds.pem"
YEAR = 365 * 24 * 3600
AMAZON_ROOTS = {
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
}
REGIONS = [
    *("af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
    *("ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ca-central-1", "eu-central-1"),
    *("eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "me-central-1"),
    *("me-south-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
]


@pytest.fixture(scope="module")
def trusted() -> ssl.SSLContext:
    """A context that trusts only the bundle, as the service's does."""
    return ssl.create_default_context(cafile=BUNDLE)


def test_every_region(trusted: ssl.SSLContext) -> None:
    """The bundle holds the current RDS CAs of each region, the Amazon roots, and nothing else."""
    regional = {
        f"Amazon RDS {region} Root CA {kind} G1" for region in REGIONS for kind in ("RSA2048", "RSA4096", "ECC384")
    }
    assert {common_name(certificate) for certificate in trusted.get_ca_certs()} == regional | AMAZON_ROOTS
    assert BUNDLE.read_text().count("BEGIN CERTIFICATE") == len(trusted.get_ca_certs()) == len(REGIONS) * 3 + 5


def test_none_expires_soon(trusted: ssl.SSLContext) -> None:
    """Every certificate is a root, is valid, and will be for another year."""
    for certificate in trusted.get_ca_certs():
        assert certificate["issuer"] == certificate["subject"]
        assert ssl.cert_time_to_seconds(str(certificate["notBefore"])) < time.time()
        assert ssl.cert_time_to_seconds(str(certificate["notAfter"])) > time.time() + YEAR


def test_amazon_roots_are_the_webs(trusted: ssl.SSLContext) -> None:
    """The Amazon roots are the very ones that browsers trust."""
    web = ssl.create_default_context(cafile=certifi.where()).get_ca_certs(binary_form=True)
    shared = set(trusted.get_ca_certs(binary_form=True)) & set(web)
    assert len(shared) == len(AMAZON_ROOTS)
