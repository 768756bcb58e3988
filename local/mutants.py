"""Mutation tests: `python -m local.mutants [MUTANT …]`, which says how many changed programs the tests catch.

mutmut changes one thing at a time in a copy of the sources, and runs the tests that reach the change, against one
PostgreSQL. The copy differs from the sources in two ways: all modules stand in one folder, because mutmut names them
after their path; and decorators are called below what they decorate, because mutmut leaves decorated code as it is.
"""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from local.postgres import embedded_cluster
from local.server import failing_in_a_sentence, forget_surroundings

COPY = Path(".local/mutants")
SOURCES = ("functions/link", "layers/core", "cli")
BESIDE = ("benchmarks", "events", "functions/migrate", "local", "tests", "pyproject.toml")
CHILDREN = "2"
LEAST_KILLED = 0.9
# What mutmut notes of a mutant: pytest's exit status, 33 if it had no test to run, or how a time limit ended it.
VERDICTS = {
    **dict.fromkeys((1, 3), "killed"),
    **dict.fromkeys((0, 5, 33), "alive"),
    **dict.fromkeys((-24, 24, 36, 152, 255), "timed out"),
}


def main() -> int:
    """Test all mutants that were not tested, or those that the arguments name; return the exit status."""
    with failing_in_a_sentence():
        forget_surroundings()
    copy_sources()
    with embedded_cluster() as cluster:
        environment = os.environ | cluster.environment | {"SERVER": "own"}
        environment.pop("PYTHONPATH", None)
        program = Path(sys.executable).with_name("mutmut").absolute()
        command = [str(program), "run", "--max-children", CHILDREN, *sys.argv[1:]]
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C ends mutmut; what it found until then is reported
        status = subprocess.run(command, cwd=COPY, env=environment, check=False).returncode
    return status or report()


def copy_sources() -> None:
    """Bring the copy up to date; mutmut keeps the results of functions that have not changed."""
    for source in SOURCES:
        for file in Path(source).rglob("*"):
            target = COPY / "src" / file.relative_to(source)
            if file.suffix in {".py", ".sql"}:
                target.parent.mkdir(parents=True, exist_ok=True)
                text = file.read_text(encoding="utf-8")
                target.write_text(undecorated(text) if file.suffix == ".py" else text, encoding="utf-8")
        # The mutants are where the tests look for the sources.
        link = COPY / "mutants" / source
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to("../src")
    for name in BESIDE:
        if Path(name).is_dir():
            shutil.copytree(name, COPY / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(name, COPY / name)
    with (COPY / "tests/conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(Path("tests/under_mutation.py").read_text(encoding="utf-8"))


def undecorated(source: str) -> str:
    """The same module with each `@decorator` turned into a call below the function or class."""
    edits: list[tuple[int, int, list[str]]] = []
    for node in _decorated(ast.parse(source)):
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        call = f"{' ' * node.col_offset}{node.name} = {'('.join([*decorators, node.name])}{')' * len(decorators)}"
        end = node.end_lineno or node.lineno
        edits += [(end, end, [call]), (node.decorator_list[0].lineno - 1, node.lineno - 1, [])]
    lines = source.splitlines()
    for start, end, replacement in sorted(edits, key=lambda edit: -edit[0]):  # from below, so that lines stay in place
        lines[start:end] = replacement
    return "\n".join(lines) + "\n"


def _decorated(body: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for node in body.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.decorator_list:
            yield node
        if isinstance(node, ast.ClassDef):
            yield from _decorated(node)


def report() -> int:
    """Print what became of the mutants of each module, and those that no test caught; return the exit status."""
    total: Counter[str] = Counter()
    for file in sorted((COPY / "mutants/src").rglob("*.meta")):
        exit_codes = json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
        verdicts = {mutant: VERDICTS.get(code, "not tested") for mutant, code in exit_codes.items()}
        print("".join(f"{mutant}\n" for mutant, verdict in verdicts.items() if verdict == "alive"), end="")
        print(f"{file.stem:20}", _told(Counter(verdicts.values())) or "no mutants")
        total.update(verdicts.values())
    tested = total.total() - total["not tested"]
    share = 1 - total["alive"] / tested
    print(f"{'all':20}", _told(total))
    print(f"{share:.1%} of {tested:,} mutants killed")
    return 0 if share >= LEAST_KILLED and tested == total.total() else 1


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
