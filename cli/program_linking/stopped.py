"""Why a command could not do what it was asked for."""


class Stopped(Exception):
    """The command was refused or had to stop: exit status 2, with the message, one sentence, on standard error."""


class ApiRefused(Stopped):
    """The API does not carry a request out, and would not if it were sent again."""


class NotThisApi(ApiRefused):
    """An answer is not what the API gives: something else is at that URL."""

    def __init__(self) -> None:
        super().__init__("What answered is not the linking API. Look at --url.")


class TooLarge(ApiRefused):
    """A request has more keys, or might have a larger answer, than the API takes."""


class NotFound(ApiRefused):
    """What a request asks for is not there."""
