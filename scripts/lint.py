"""`make lint`: format, lint and types of the Python code, and whether the generated files are current."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ci.common import ROOT
from vllm_chart.command import main
from vllm_chart.errors import UserError

_BIN = Path(sys.executable).parent

#: What is run, by the name of what it is about; each says nothing where nothing is wrong.
PROGRAMS: dict[str, list[str]] = {
    "types": [str(_BIN / "mypy"), "--no-error-summary"],
    "format": [str(_BIN / "ruff"), "format", "--check", "--quiet", "."],
    "lint": [str(_BIN / "ruff"), "check", "--quiet", "."],
}
#: Whether generated files are current, which tests/contract tells, too.
GENERATED: dict[str, list[str]] = {
    "values.schema.json": [sys.executable, "-m", "scripts.generate.schema", "--check"],
    "the dashboard": [sys.executable, "-m", "scripts.generate.dashboard", "--check"],
    "docs/accelerators.md": [sys.executable, "-m", "scripts.generate.accelerators", "--check"],
    "the chart's README": [sys.executable, "-m", "scripts.generate.chart_readme", "--check"],
}


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
            raise UserError("\n".join(["Lint has found something; `make format` mends what it can.", *said]))


def _said(step: list[str]) -> str:
    """What a step that fails prints; empty where it does not fail."""
    done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() or f"{step[0]} failed ({done.returncode})" if done.returncode else ""


if __name__ == "__main__":
    main(lambda: Lint(PROGRAMS | GENERATED, at_once=2).finish())
