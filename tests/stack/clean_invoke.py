"""Invoke a built artifact as Lambda does: `python -I -S clean_invoke.py` with folders, handler and event on stdin.

Nothing but the standard library and the folders is there to import from.
"""

import importlib
import json
import sys
from types import SimpleNamespace

task = json.load(sys.stdin)
sys.path[:0] = task["folders"]
module, _, function = task["handler"].partition(".")
context = SimpleNamespace(
    aws_request_id="8f5c",
    function_name="link",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:link",
    get_remaining_time_in_millis=lambda: 28_000,
)
answer = getattr(importlib.import_module(module), function)(task["event"], context)
foreign = [name for name, loaded in sys.modules.items() if "site-packages" in (getattr(loaded, "__file__", None) or "")]
json.dump({"answer": answer, "foreign": foreign}, sys.stderr)
