"""`make test`, `make test-all` and `make e2e…`: what a single run of pytest can't do.

Everything else is plain pytest, e.g. `python -m pytest tests/render -k gpu`; tests/conftest.py finds the programs.
"""

from __future__ import annotations

import os
import subprocess
import sys

from ci import cluster, load_images
from scripts.lint import Lint, programs
from vllm_chart.chart import CHART
from vllm_chart.entry_point import main

#: Processes share the tests by file, so that what the tests of a file have in common is made once.
_BY_FILE = ("-n", "2", "--dist=loadfile", "--no-loadscope-reorder")

#: The runs of `make test-all`. A property-based test takes as long as a file of others, so these are shared one by one.
_ALL = (
    (*_BY_FILE, "--helm=pinned"),
    ("-n", "2", "--helm=pinned", "tests/commands", "tests/rules", "tests/property", "tests/docs_programs"),
    (*_BY_FILE, "--helm=oldest", "tests/contract", "tests/render"),
)


def run() -> None:
    """Run `scripts.run_tests test|test-all|e2e/STAGE`; further arguments go to pytest."""
    target, *arguments = sys.argv[1:]
    if target.startswith("e2e/"):
        sys.exit(_end_to_end(target, arguments))
    lint = Lint(programs(), at_once=1)  # a test compares generated files
    code = 0
    for options in _ALL if target == "test-all" else (_BY_FILE,):
        code = code or _pytest(*options, *arguments)
    lint.finish()
    sys.exit(code)


def _end_to_end(stage: str, arguments: list[str]) -> int:
    """Run a stage on the cluster, which is created where there is none."""
    cluster.use(workers=2)
    load_images.vllm()
    load_images.model()
    os.environ |= {"KUBECONFIG": str(cluster.KUBECONFIG), "ATS_CHART_PATH": str(CHART)}
    return _pytest(f"tests/{stage}", "-p", "helm-charts", "--cluster-type=kind", *arguments)


def _pytest(*arguments: str) -> int:
    """Run pytest and return its exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    main(run)
