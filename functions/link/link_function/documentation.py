"""The OpenAPI document, and the page that shows it. Powertools' models of it take 0.1 s to import: only if asked."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi import swagger_ui
from aws_lambda_powertools.event_handler.openapi.models import Server
from pydantic import BaseModel

from link_function import enrolling, reading, rosters
from program_enrollments import __version__

TITLE = "Program linking"
DESCRIPTION = (
    "Links the external student keys of Open edX programs to LMS accounts.\n\n"
    "A request names a program and, for each external user key, the username of an LMS account. A key that cannot be"
    " linked is reported and leaves no trace; the others are linked, and their accounts enter the master's track of the"
    " courses that waited for them. Repeating a request is safe: a key that is linked to its account counts as done."
)
QUESTIONS: dict[str, Mapping[str, type[BaseModel]]] = {
    "get": reading.QUESTIONS | rosters.QUESTIONS,
    **dict.fromkeys(("post", "patch", "put"), enrolling.QUESTIONS),
}
# Powertools' own, which no answer here has.
FOREIGN_SCHEMAS = {"HTTPValidationError", "ValidationError", "ResponseValidationError"}


def document(api: APIGatewayRestResolver, address: str) -> dict[str, Any]:
    """The OpenAPI document of an API at this address; with the routes of the roster function, if that is there too."""
    described = _described(api, address)
    if os.environ.get("ROSTER_BUCKET_URL"):
        of_rosters = _described(rosters.api, address)
        described["paths"] |= of_rosters["paths"]
        described["components"]["schemas"] |= of_rosters["components"]["schemas"]
    return described


def _described(api: APIGatewayRestResolver, address: str) -> dict[str, Any]:
    text = api.get_openapi_json_schema(
        title=TITLE, version=__version__, description=DESCRIPTION, servers=[Server(url=address or "/")]
    )
    described: dict[str, Any] = json.loads(text)
    for name in FOREIGN_SCHEMAS & described["components"]["schemas"].keys():
        del described["components"]["schemas"][name]
    for operation in (operation for path in described["paths"].values() for operation in path.values()):
        if "HTTPValidationError" in json.dumps(operation["responses"].get("422")):
            del operation["responses"]["422"]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if asked := QUESTIONS[method].get(path):
                operation.setdefault("parameters", []).extend(_parameters(asked))
    return described


def _parameters(question: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """What the router does not read itself, so that nothing but what is known and there once gets through."""
    model = question.model_json_schema()
    for name, described in model["properties"].items():
        schema = {word: value for word, value in described.items() if value is not None and word != "description"}
        required = {"required": True} if name in model.get("required", ()) else {}
        yield {"name": name, "in": "query", "description": described["description"], **required, "schema": schema}


def page(api: APIGatewayRestResolver, address: str) -> str:
    """A page on which a person can read the document and try the API."""
    folder = Path(swagger_ui.__file__).parent
    script, style = ((folder / f"swagger-ui{name}").read_text("utf-8") for name in ("-bundle.min.js", ".min.css"))
    text = json.dumps(document(api, address), indent=2).replace("</", "<\\/")
    html = swagger_ui.generate_swagger_html(text, script, style, "", None)
    return html.replace("<title>Swagger UI</title>", f"<title>{TITLE}</title>")
