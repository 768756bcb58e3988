"""Where an API is, and whether keys may be sent there."""

import os
from urllib.parse import urlsplit

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


def base_url(url: str) -> str:
    """The URL of the API's stage; raise `ValueError` if requests to it would not be protected, or could not be sent."""
    text = url.strip()
    parts = urlsplit(text)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS)
    if not (parts.hostname and secure):
        raise ValueError(f"'{url}' is not an https:// URL (plain http:// is for localhost only)")
    if parts.query or parts.fragment or parts.username is not None or parts.port == 0 or not text.isprintable():
        raise ValueError(f"'{url}' has more than a host, a port and the API's stage")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/").removesuffix("/links")


def is_local(url: str) -> bool:
    """Whether a URL that `base_url` gave leads to this machine."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def is_aws_here(url: str) -> bool:
    """Whether a URL leads to an imitation of AWS, which AWS_ENDPOINT_URL names and which wants signatures too."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
    return bool(endpoint) and url.startswith(f"{endpoint}/")
