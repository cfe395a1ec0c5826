"""`make lint`: linters of everything that people write, and whether the generated files are current."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ci.common import ROOT
from ci.go_programs import ACTIONLINT
from vllm_chart.cache import CACHE
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.progress import say

_BIN = Path(sys.executable).parent


def programs() -> dict[str, list[str]]:
    """Return the linters by what they check; each prints nothing if it finds nothing."""
    found = {
        "types": [str(_BIN / "mypy"), "--no-error-summary"],
        "format": [str(_BIN / "ruff"), "format", "--check", "--quiet", "."],
        "lint": [str(_BIN / "ruff"), "check", "--quiet", "."],
        "imports": [str(_BIN / "lint-imports"), "--cache-dir", str(CACHE / "import-linter")],
        "spelling": [str(_BIN / "typos"), "--format=brief"],
        "YAML": [str(_BIN / "yamllint"), "--strict", "--format=parsable", "."],
        "shell scripts": [str(_BIN / "shellcheck"), *_shell_scripts()],
    }
    if ACTIONLINT.folder.exists() or shutil.which("go"):
        found["workflows"] = [sys.executable, "-m", "scripts.lint", "workflows"]
    else:
        say("Not checked: .github/workflows, as actionlint is built with Go, which is not installed.")
    return found


def _shell_scripts() -> list[str]:
    """Return the files that a shell runs, by their first line."""
    files = [file for folder in (ROOT / ".ci", ROOT / "ci") for file in folder.rglob("*") if file.is_file()]
    return [str(file) for file in files if re.match(rb"#!.*\b(?:bash|sh)\b", file.read_bytes())]


def workflows() -> None:
    """Run actionlint, which looks into the scripts of steps with shellcheck; build it if it is not there."""
    os.execv(  # noqa: S606
        ACTIONLINT.build() / "actionlint",
        ["actionlint", "-oneline", f"-shellcheck={_BIN / 'shellcheck'}", "-pyflakes="],
    )


#: Whether generated files are current, which tests/contract tells, too.
GENERATED: dict[str, list[str]] = {"generated files": [sys.executable, "-m", "scripts.generate", "--check"]}


class Lint:
    """Steps that run from now on in the background.

    Args:
        steps: what is run, by name.
        at_once: how many at a time.
    """

    def __init__(self, steps: dict[str, list[str]], at_once: int) -> None:
        self._pool = ThreadPoolExecutor(at_once)
        self._steps: dict[str, Future[str]] = {name: self._pool.submit(_said, step) for name, step in steps.items()}

    def finish(self) -> None:
        """Wait for all of them.

        Raises:
            UserError: with what each says that found something.
        """
        self._pool.shutdown()
        said = [f"{name}:\n{step.result()}" for name, step in self._steps.items() if step.result()]
        if said:
            raise UserError(
                "\n".join(
                    ["Lint found problems; `make format` fixes those of the Python code that ruff can fix.", *said]
                )
            )


def _said(step: list[str]) -> str:
    """What a step that fails prints; empty where it does not fail."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}  # import-linter imports nothing else
    done = subprocess.run(step, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() or f"{step[0]} failed ({done.returncode})" if done.returncode else ""


if __name__ == "__main__":
    main(workflows if sys.argv[1:] == ["workflows"] else lambda: Lint(programs() | GENERATED, at_once=2).finish())
