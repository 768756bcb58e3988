"""What a function knows of an invocation."""

import time
import uuid
from dataclasses import dataclass, field
from typing import cast

from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass
class Invocation:
    """Lambda's context of an invocation that may still take the given time."""

    milliseconds: int = 28_000
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_name: str = "link"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:000000000000:function:link"
    started: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left."""
        return self.milliseconds - int((time.monotonic() - self.started) * 1000)


def invocation(milliseconds: int = 28_000) -> LambdaContext:
    """Make the context of an invocation that begins now."""
    return cast("LambdaContext", Invocation(milliseconds))
