"""How the documentation's blocks are found."""

from pathlib import Path

import pytest

from tests.docs.blocks import Block, read_blocks

PAGE = """
```sh
true
```
says
```json
{}
```
```python status=1
raise SystemExit(1)
```
```sh aws
aws help
```
```text
usage
```
```sql
SELECT 1
```
"""


def test_blocks_are_found(tmp_path: Path) -> None:
    """Commands are run unless they need AWS, and the output that follows is theirs."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    assert [*read_blocks(page)] == [
        Block(2, "sh", "true\n", 0, "json", "{}\n"),
        Block(9, "python", "raise SystemExit(1)\n", 1),
    ]


def test_a_misspelt_reason_is_refused(tmp_path: Path) -> None:
    """A block is not left out for a reason that is not known."""
    page = tmp_path / "page.md"
    page.write_text("```sh asw\ntrue\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match="unknown words"):
        list(read_blocks(page))
