"""`make test`, `test-all`, `coverage`, `test-rules`, `e2e`: pytest with the project's own programs and cluster.

`make test` and `test-all` run `make lint` beside the tests, and tell at the end what that has found.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from ci import cluster, load_images, tools
from ci.common import VERSIONS
from scripts.lint import PROGRAMS, Lint
from vllm_chart.cache import CACHE
from vllm_chart.chart import CHART
from vllm_chart.command import main
from vllm_chart.progress import say

#: Plugins that take every process a second to load, and the tests that want them.
_PLUGINS = {"helm-charts": "tests/e2e", "hypothesispytest": "tests/property"}

#: How several processes share the tests: a file stays in one, so that what its tests have in common is made once.
_BY_FILE = ("--dist=loadfile", "--no-loadscope-reorder")


def run() -> None:
    """`scripts.run_tests TARGET …` does what `make TARGET` says; what begins with no target goes to pytest as it is."""
    target, *arguments = sys.argv[1:] or ["test"]
    # what is to be shown with both Helms, or held against renders of the pinned one, takes no other from PATH
    tools.put_on_path("helm", pinned=target in ("test-all", "coverage"))
    os.environ["VLLM_CHART_RENDERS"] = str(_renders())
    if target.startswith("e2e/"):
        cluster.use(workers=2)
        load_images.vllm()
        load_images.model()
        os.environ |= {"KUBECONFIG": str(cluster.KUBECONFIG), "ATS_CHART_PATH": str(CHART)}
        sys.exit(_pytest(f"tests/{target}", "--cluster-type=kind", *arguments))
    if target == "release":
        sys.exit(_pytest("tests/release", *arguments))
    if target == "rules":
        tools.put_on_path("promtool")
        sys.exit(_pytest("tests/rules", *arguments))
    if target == "coverage":
        sys.exit(_pytest("tests/coverage", "-s", *arguments))
    if target not in ("test", "test-all"):
        sys.exit(_pytest(*sys.argv[1:]))
    lint = Lint(PROGRAMS, at_once=1)  # the tests tell of generated files
    every = target == "test-all"
    oldest = tools.oldest_helm(install=every)
    code = _pytest(*arguments, also=None if every else oldest)
    if code == 0 and every:
        tools.put_on_path("promtool")
        code = _pytest("tests/commands", "tests/rules", "tests/property", "tests/docs_programs", *arguments)
    if code == 0 and every:
        code = _pytest("tests/contract", "tests/render", *arguments, helm=oldest)
    elif code == 0 and not oldest:
        version = VERSIONS["tools"]["helm"]["oldest"]
        say(f"Not repeated with Helm {version}, which isn't there: `make test-all` installs it.")
    lint.finish()
    sys.exit(code)


def _renders() -> Path:
    """The folder of kept renders, without those that are a week old: each change of the chart adds a thousand."""
    folder = CACHE / "renders"
    week = 7 * 24 * 3600
    for file in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # what another run writes has another name at first
            if time.time() - file.stat().st_mtime > week:
                file.unlink()
    return folder


def _pytest(*arguments: str, helm: Path | None = None, also: Path | None = None) -> int:
    """Run pytest, with another Helm than that on PATH, or also with another where both must be seen.

    Returns its exit code.
    """
    helms = {"HELM": helm, "OLDEST_HELM": also}
    environment = os.environ | {name: str(program) for name, program in helms.items() if program}
    needless = [name for name, folder in _PLUGINS.items() if not any(word.startswith(folder) for word in arguments)]
    without = [word for name in needless for word in ("-p", f"no:{name}")]
    # a test of values at random takes as long as a file of others
    shared = _BY_FILE if "-n" in arguments and "tests/property" not in arguments else ()
    command = [sys.executable, "-m", "pytest", *without, *shared, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    main(run)
