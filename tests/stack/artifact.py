"""Building what is deployed, and invoking what was built."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.stack.stack import ROOT


@dataclass(frozen=True)
class Artifact:
    """A function's code and its layer, as `sam build` left them."""

    layer: Path
    functions: Mapping[str, Path]

    def invoke(
        self, function: str, event: object, environment: Mapping[str, str], handler: str = "app.lambda_handler"
    ) -> Any:  # noqa: ANN401 - whatever it answers
        """Invoke a function in an interpreter that has only the artifact and the standard library."""
        task = {
            "folders": [str(self.functions[function]), str(self.layer / "python")],
            "handler": handler,
            "event": event,
        }
        invocation = subprocess.run(
            [sys.executable, "-I", "-S", ROOT / "tests/stack/clean_invoke.py"],
            input=json.dumps(task),
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert invocation.returncode == 0, invocation.stderr
        result = json.loads(invocation.stderr)
        assert result["foreign"] == []
        return result["answer"]


def artifact(built: Path) -> Artifact:
    """What is in the folder that `sam build` built into."""
    resources = yaml.safe_load((built / "template.yaml").read_text())["Resources"]
    return Artifact(
        layer=built / resources["CoreLayer"]["Properties"]["ContentUri"],
        functions={
            name: (built / resource["Properties"]["CodeUri"]).resolve()
            for name, resource in resources.items()
            if resource["Type"] == "AWS::Serverless::Function"
        },
    )
