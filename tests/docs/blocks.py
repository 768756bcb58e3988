"""The fenced blocks of a page that can be run, and what they are said to print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"sh", "bash", "shell", "console", "python"}
OUTPUT = {"json", "text", "csv"}
# Why a block is not run: the second word after its fence.
NOT_RUN = {"aws", "docker", "slow"}


@dataclass
class Block:
    """A block of commands: the line of its fence, its language, its text, the status it ends with, and its output."""

    line: int
    language: str
    text: str
    status: int = 0
    output_language: str = ""
    output: str | None = None


def read_blocks(page: Path) -> Iterator[Block]:
    """The blocks to run, in order; what the next fence shows is the output, if it is no command itself."""
    text = page.read_text(encoding="utf-8")
    block: Block | None = None
    for fence in FENCE.finditer(text):
        language, *words = fence[1].split() or [""]
        if language in OUTPUT and block:
            block.output_language, block.output = language, fence[2]
        if block:
            yield block
            block = None
        if language in RUN and not NOT_RUN & {*words}:
            block = Block(text.count("\n", 0, fence.start()) + 1, language, fence[2], _status(words))
    if block:
        yield block


def _status(words: list[str]) -> int:
    match words:
        case []:
            return 0
        case [word] if word.startswith("status="):
            return int(word.removeprefix("status="))
    raise ValueError(f"unknown words after a fence: {words}")
