"""What a roster may ask for, as fields of a request or as metadata of an object in S3."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated
from uuid import UUID

from pydantic import Field

from lambda_runtime.refusals import Detail, Fields, InvalidRequest, read

# As similar as this, a name is taken for a misspelt option.
SIMILAR = 0.8
TRUTH = {"true": True, "false": False}

Switch = Annotated[bool, Field(strict=True)]


class Options(Fields):
    """How a roster is linked, as in a request; and from which share of failed keys on it is not linked at all."""

    relink: Switch = False
    dry_run: Switch = False
    ignore_case: Switch = False
    # They may be left out; null is refused, so that an option that nobody filled in cannot widen a roster.
    curriculum_uuid: UUID = None  # type: ignore[assignment]
    hold_above_percent: Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)] = None  # type: ignore[assignment]


class RosterRequest(Options):
    """A program, and how the roster that is about to come is to be linked."""

    program_uuid: UUID

    @property
    def options(self) -> Options:
        """The options of the request."""
        return Options(**self.model_dump(exclude={"program_uuid"}, exclude_unset=True))


def read_metadata(metadata: Mapping[str, str]) -> Options:
    """The options among the user metadata of an object; raise `InvalidRequest`.

    Other metadata is ignored, for many tools add their own, unless it looks like a misspelt option.
    """
    texts = {name.lower().replace("-", "_"): text.strip() for name, text in metadata.items()}
    known = Options.model_fields
    misspelt = [
        Detail(where=name, what=f"is not an option; {near[0].replace('_', '-')} is one")
        for name in texts.keys() - known.keys()
        if (near := get_close_matches(name, known, n=1, cutoff=SIMILAR))
    ]
    if misspelt:
        raise InvalidRequest("The metadata has an option that is not known.", misspelt)
    return read(Options, {name: _value(name, texts[name]) for name in texts.keys() & known.keys()})


def _value(name: str, text: str) -> object:
    """The text of an option as the JSON value that it stands for; itself if it stands for none."""
    if Options.model_fields[name].annotation is not float:
        return TRUTH.get(text.lower(), text)
    try:
        return float(text)
    except ValueError:
        return text
