"""The state machine's definition as AWS gets it; `python -m local.machine` prints it in JSON, for tools."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

DEFINITION = Path(__file__).parent.parent / "statemachines" / "roster.asl.yaml"
# Any that are in order; the template has the true ones.
SUBSTITUTIONS = {
    "Partition": "aws",
    "LinkFunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:link",
    "RosterFunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:roster",
}


def definition() -> dict[str, Any]:
    """The definition, with something for each of its substitutions; raise `KeyError` if it has one more."""
    text = re.sub(r"\$\{(\w+)\}", lambda found: SUBSTITUTIONS[found[1]], DEFINITION.read_text(encoding="utf-8"))
    return dict(yaml.safe_load(text))


if __name__ == "__main__":
    json.dump(definition(), sys.stdout)
