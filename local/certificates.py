"""Make the trust that the layer ships: PEM certificates from stdin, of which the needed ones go to stdout.

What has expired is left out, and what RDS's beta and preview regions use. See `make certificates`.
"""

import re
import ssl
import sys
import time
from collections.abc import Mapping
from typing import Any

HEADER = """\
# Whom to trust for RDS and RDS Proxy: RDS's regional CAs of the current generation (rds-ca-rsa2048-g1,
# rds-ca-rsa4096-g1, rds-ca-ecc384-g1) and the Amazon roots that RDS Proxy's certificates lead to.
# Made by `make certificates`. The CA of a region that is not here yet may be appended by hand.
"""


def needed(pem: str) -> list[tuple[str, str, str]]:
    """Name, last day and PEM of each CA that a database open to customers can have its certificate from today."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    certificates = [
        (common_name(fields), str(fields["notAfter"]), ssl.DER_cert_to_PEM_cert(der))
        for fields, der in zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True)
    ]
    return sorted(
        (name, last_day, pem)
        for name, last_day, pem in certificates
        if ssl.cert_time_to_seconds(last_day) > time.time() and not re.search("RDS (Beta|Preview)", name)
    )


def main() -> None:
    """Filter stdin to stdout, in the order of the CAs' names."""
    sys.stdout.write(HEADER)
    for name, last_day, pem in needed(sys.stdin.read()):
        sys.stdout.write(f"\n# {name}, until {last_day}\n{pem}")


def common_name(certificate: Mapping[str, Any]) -> str:
    """The common name of a certificate as the ssl module gives it."""
    return str(dict(part[0] for part in certificate["subject"])["commonName"])


if __name__ == "__main__":
    main()
