"""What a roster asks for, as fields of a request or as metadata of an object in S3."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from lambda_runtime.refusals import Detail, InvalidRequest, read
from lambda_runtime.rosters import EnrollmentOptions, LinkOptions, NewEnrollments, NewLinks
from roster_function.kinds import KINDS, kind_of

# As similar as this, a name is taken for a misspelt option.
SIMILAR = 0.8
TRUTH = {"true": True, "false": False}


def read_request(fields: object) -> NewLinks | NewEnrollments:
    """Read the body of a request for a roster; raise `InvalidRequest`."""
    return read(kind_of(fields).NEW, fields)


def options_of(request: NewLinks | NewEnrollments) -> LinkOptions | EnrollmentOptions:
    """The options of a request."""
    return KINDS[request.kind].OPTIONS(**request.model_dump(exclude={"program_uuid"}, exclude_unset=True))


def read_metadata(metadata: Mapping[str, str]) -> LinkOptions | EnrollmentOptions:
    """The options among the user metadata of an object; raise `InvalidRequest`.

    Other metadata is ignored, for many tools add their own, unless it looks like an option that is misspelt, cut short
    or another kind's.
    """
    texts = {name.lower().replace("-", "_"): text.strip() for name, text in metadata.items()}
    model = kind_of(texts).OPTIONS
    known = model.model_fields
    foreign = {name for kind in KINDS.values() for name in kind.OPTIONS.model_fields} - known.keys()
    wrong = [
        Detail(where=name, what=what)
        for name in sorted(texts.keys() - known.keys())
        if (what := _amiss(name, known, foreign))
    ]
    if wrong:
        raise InvalidRequest("The metadata has an option that is not known.", wrong)
    return read(model, {name: _value(field.annotation, texts[name]) for name, field in known.items() if name in texts})


def _amiss(name: str, known: Iterable[str], foreign: Iterable[str]) -> str | None:
    """What is amiss with metadata of a name that is no option; None if it is something else."""
    if name in foreign:
        return "is an option of another kind of roster"
    near = [option for option in known if option.startswith(f"{name}_")] or get_close_matches(name, known, 1, SIMILAR)
    return f"is not an option; {near[0].replace('_', '-')} is one" if near else None


def _value(kind: object, text: str) -> object:
    """The text of an option as the JSON value of its kind that it stands for; itself if it stands for none."""
    if kind is bool:
        return TRUTH.get(text.lower(), text)
    try:
        return float(text) if kind is float else text
    except ValueError:
        return text
