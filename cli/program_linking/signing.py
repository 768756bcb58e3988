"""AWS Signature Version 4 for requests to API Gateway, with the caller's credentials."""

import os
import re
from collections.abc import Generator
from urllib.parse import urlsplit

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from program_linking.stopped import Stopped

NO_CREDENTIALS = "There are no AWS credentials to sign with: sign in, set AWS_PROFILE, or give --token."
NO_REGION = "The URL names no AWS region: set AWS_REGION."


class Signed(httpx.Auth):
    """Signs each request as it is sent; raise `Stopped` if there are no credentials, or no region."""

    requires_request_body = True

    def __init__(self, url: str) -> None:
        session = Session()
        try:
            self.region = _region(url) or os.environ.get("AWS_REGION") or session.get_config_variable("region")
            credentials = session.get_credentials()
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            raise Stopped(f"{NO_CREDENTIALS} ({error})") from error
        if not credentials:
            raise Stopped(NO_CREDENTIALS)
        if not self.region:
            raise Stopped(NO_REGION)
        self.credentials = credentials

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Add the signature's headers."""
        signed = {name: request.headers[name] for name in ("Content-Type", "Accept") if name in request.headers}
        to_sign = AWSRequest(request.method, str(request.url), headers=signed, data=request.content)
        try:
            credentials = self.credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            raise Stopped(f"{NO_CREDENTIALS} ({error})") from error
        SigV4Auth(credentials, "execute-api", self.region).add_auth(to_sign)
        request.headers.update(dict(to_sign.headers.items()))
        yield request


def _region(url: str) -> str | None:
    """The region in API Gateway's own host names; a domain of one's own has none."""
    found = re.search(r"[.]execute-api[.]([a-z0-9-]+)[.]", urlsplit(url).hostname or "")
    return found and found[1]
