"""A stand-in for a Cognito user pool: its pages for signing in and out, and its tokens."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlencode, urlsplit

READ, LINK = "program-linking/read", "program-linking/link"
CLIENT = "1example23456789"


@dataclass
class Pool:
    """Each attribute may be changed while it serves; `tokens` are those that it gave out, with their scopes."""

    scopes: str = f"openid {READ} {LINK}"
    username: str = "registrar"
    refusal: str = ""
    expires_in: int = 3600
    renews: bool = True
    nonce: str | None = None
    state: str | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent to after the person has signed in, or was refused."""
        self.requests.append(query)
        code = secrets.token_urlsafe()
        self.codes[code] = query
        refused = {"error": "access_denied", "error_description": self.refusal}
        answer = (refused if self.refusal else {"code": code}) | {"state": self.state or query["state"]}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, form: dict[str, str]) -> dict[str, object] | None:
        """Tokens for a code and its verifier, once, or for a refresh token."""
        if form["grant_type"] == "refresh_token":
            return self._tokens("") if self.renews else None
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not asked or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return None
        return self._tokens(self.nonce or asked["nonce"])

    def _tokens(self, nonce: str) -> dict[str, object]:
        access = _jwt({"scope": self.scopes, "username": self.username, "jti": secrets.token_hex()})
        self.tokens[access] = self.scopes
        identity = _jwt({"nonce": nonce, "aud": CLIENT})
        renewal = {"refresh_token": "again"} if self.renews else {}
        return {"access_token": access, "id_token": identity, "expires_in": self.expires_in, **renewal}


def serve_pool(pool: Pool) -> type[BaseHTTPRequestHandler]:
    """The handler that answers for a pool."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            self.send_response(302)
            self.send_header(
                "Location", pool.authorize(query) if url.path == "/oauth2/authorize" else query["logout_uri"]
            )
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            tokens = pool.exchange({name: values[-1] for name, values in parse_qs(body).items()})
            self.send_response(200 if tokens else 400)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(json.dumps(tokens or {"error": "invalid_grant"}).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    return Handler


def _jwt(claims: dict[str, str]) -> str:
    parts: tuple[dict[str, str], ...] = ({"alg": "none"}, claims, {})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
