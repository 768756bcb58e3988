"""What API Gateway hands over: the route that is meant, the text of the body, and who calls.

Nothing but method, path, stage, media type and body reaches the router, so that nothing else can do harm.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from lambda_runtime.observability import logger
from lambda_runtime.refusals import Detail, InvalidRequest, shown

JSON = "application/json"
GREEDY = re.compile(r"\{(\w+)\+\}")  # the rest of a path, as a resource of API Gateway names it


def is_proxy_event(event: object) -> bool:
    """Whether this is an HTTP request as a REST API of API Gateway hands it over."""
    match event:
        case {"httpMethod": str(), "path": str()}:
            return other_door(event) is None
    return False


def other_door(event: object) -> str | None:
    """The name of what hands HTTP requests over in another form than a REST API does, None if this is no such event."""
    match event:
        case {"requestContext": {"http": {}}}:
            return "an HTTP API's payload 2.0, or of a function URL"
        case {"requestContext": {"elb": _}}:
            return "an Application Load Balancer"
        case {"requestContext": {"connectionId": _}}:
            return "a WebSocket API"
        case {"requestContext": {"serviceNetworkArn": _}} | {"raw_path": str(), "method": str()}:
            return "VPC Lattice"
    return None


def route_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """What the router looks at; raise `InvalidRequest` if the body is not the text that it is said to be."""
    path, headers = route_path(event), event.get("headers")
    return {
        "httpMethod": event["httpMethod"],
        "path": path,
        "requestContext": {"stage": "", "path": path},
        "headers": {"content-type": _media_type(headers if isinstance(headers, Mapping) else {})},
        "body": _text(event),
        "isBase64Encoded": False,
    }


def route_path(event: Mapping[str, Any]) -> str:
    """The path below the API's address: a path mapping of a custom domain stands before it, and is no part of it."""
    path = str(event["path"])
    match event:
        case {"resource": "/"}:
            return "/"
        case {"resource": str(resource), "pathParameters": dict(parameters)}:
            route = GREEDY.sub(lambda found: str(parameters.get(found[1])), resource)
        case {"resource": str(resource)}:
            route = resource
        case _:
            route = path
    return route if path.endswith(route) else path


def base_path(event: Mapping[str, Any]) -> str:
    """What stands before the route in the path that the caller used: a stage, a path mapping, or nothing."""
    route = route_path(event).rstrip("/")
    match event.get("requestContext"):
        case {"path": str(path)} if path.rstrip("/").endswith(route):
            return path.rstrip("/").removesuffix(route)
        case {"path": str(path), "stage": str(stage)} if path.startswith(f"/{stage}/"):
            return f"/{stage}"
    return ""


def origin(event: Mapping[str, Any]) -> str:
    """Where the API is, without a path; nothing if API Gateway does not say so."""
    match event.get("requestContext"):
        case {"domainName": str(name)} if re.fullmatch(r"[A-Za-z0-9.-]+", name):
            return f"https://{name}"
    return ""


def caller(event: Mapping[str, Any]) -> dict[str, str] | None:
    """Who calls: the ARN that signed the request, or the client and the username of its token."""
    match event.get("requestContext"):
        case {"identity": {"userArn": str(arn)}}:
            return {"arn": shown(arn)}
        case {"authorizer": {"claims": {} as claims}}:
            names = {
                "client": claims.get("client_id") or claims.get("aud"),
                "username": claims.get("username") or claims.get("cognito:username"),
            }
            return {name: shown(value) for name, value in names.items() if isinstance(value, str)} or None
    return None


def request_id(event: object) -> str | None:
    """API Gateway's own id of a request."""
    match event:
        case {"requestContext": {"requestId": str(request_id)}}:
            return shown(request_id)
    return None


def refuse_door(door: str) -> dict[str, Any]:
    """The answer to an event of another door, which is logged."""
    message = f"This is an event of {door}; send requests through a REST API of API Gateway, or invoke directly."
    logger.error("Event of another front door", extra={"reason": message})
    return response(HTTPStatus.NOT_IMPLEMENTED, {"message": message, "details": []})


def response(status: HTTPStatus, body: object) -> dict[str, Any]:
    """A response outside of the router, in a form that each kind of front door takes."""
    return {
        "statusCode": status.value,
        "headers": {"Content-Type": JSON},
        "multiValueHeaders": {"Content-Type": [JSON]},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def _media_type(headers: Mapping[str, object]) -> str:
    """JSON, which is also what goes without saying, or something that the router refuses."""
    named = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    media_type = str(named or JSON).partition(";")[0].strip().lower()
    return media_type if media_type == JSON else f"unsupported {media_type}"


def _text(event: Mapping[str, Any]) -> str | None:
    body = event.get("body")
    if not isinstance(body, str) or event.get("isBase64Encoded") is not True:
        return body if isinstance(body, str) else None
    try:
        return base64.b64decode(body, validate=True).decode()
    except UnicodeDecodeError as error:
        raise _undecodable("is not UTF-8", f"byte {error.start + 1}") from error
    except (binascii.Error, ValueError) as error:
        raise _undecodable("is not the base64 that it is said to be", "body") from error


def _undecodable(what: str, where: str) -> InvalidRequest:
    return InvalidRequest(f"The body {what}.", [Detail(where=where, what=what)])
