"""The arguments and options that several verbs have."""

from typing import Annotated
from uuid import UUID

import typer

from program_enrollments.enrolling.rows import checked_slug
from program_enrollments.limits import LONGEST_COURSE_KEY, fault
from program_linking.urls import base_url


def is_uuid(name: str, text: str | None) -> str | None:
    """The text in a UUID's usual form; raise `BadParameter` if it is none."""
    try:
        return None if text is None else str(UUID(text))
    except ValueError as error:
        raise typer.BadParameter(f"supplied {name} '{text}' is not a valid UUID") from error


def _is_url(url: str | None) -> str | None:
    try:
        return None if url is None else base_url(url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _is_token(token: str | None) -> str | None:
    """A token as a header has it, without the word before it that people copy along."""
    token = (token or "").strip().removeprefix("Bearer ").strip()
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise typer.BadParameter("this is not a token")
    return token or None


def _is_course_key(text: str | None) -> str | None:
    if text is not None and (why := fault(text, LONGEST_COURSE_KEY)):
        raise typer.BadParameter(f"the course key {why}")
    return text


def _is_slug(text: str | None) -> str | None:
    try:
        return None if text is None else checked_slug(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Program = Annotated[
    str,
    typer.Argument(metavar="PROGRAM_UUID", callback=lambda text: is_uuid("program_uuid", text), show_default=False),
]
Curriculum = Annotated[
    str | None,
    typer.Option(
        metavar="UUID",
        callback=lambda text: is_uuid("curriculum_uuid", text),
        help="Only enrollments of this curriculum.",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", callback=_is_url, help="The API's stage, instead of the database that PG* name."),
]
RequiredUrl = Annotated[str, typer.Option("--url", metavar="URL", callback=_is_url, help="The API's stage.")]
Token = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar="PROGRAM_LINKING_TOKEN",
        callback=_is_token,
        help="Send this token with --url, instead of signing with your AWS credentials.",
    ),
]
Csv = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Read external_user_key,lms_username from this file, - for standard input."),
]
IgnoreCase = Annotated[bool, typer.Option("--ignore-case", help="Keys match in upper and in lower case.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Report what would happen, and change nothing.")]
Course = Annotated[
    str | None,
    typer.Option(
        metavar="KEY", callback=_is_course_key, help="Write places in this course, instead of in the program."
    ),
]
Create = Annotated[bool, typer.Option("--create", help="Only make enrollments that are not there.")]
Update = Annotated[bool, typer.Option("--update", help="Only change enrollments that are there.")]
Idp = Annotated[
    str | None,
    typer.Option(metavar="SLUG", callback=_is_slug, help="Link new keys at once that this SAML provider knows."),
]
