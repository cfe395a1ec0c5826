"""What every layer of tests shares: the value sets, one render of each, and a failure that names its command."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ci import tools
from ci.common import VERSIONS
from scripts import last_release as releases
from scripts.last_release import LastRelease
from scripts.value_sets import ValueSet, value_sets
from vllm_chart.cache import CACHE
from vllm_chart.errors import UserError
from vllm_chart.render import helm
from vllm_chart.render.findings import Finding, report
from vllm_chart.render.helm import Render


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the Helm that renders."""
    parser.addoption(
        "--helm",
        choices=("suitable", "pinned", "oldest"),
        default="suitable",
        help="Helm that renders: one on PATH that is new enough, else the pinned one, and for tests marked every_helm "
        "also the oldest supported one if it is installed (default); exactly the pinned one; exactly the oldest one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find or install Helm and kubectl and keep renders; the workers of pytest-xdist inherit both."""
    if hasattr(config, "workerinput"):
        return
    choice = config.getoption("helm")
    try:
        tools.put_on_path("helm", "kubectl", pinned=choice == "pinned")
        if choice == "oldest":
            os.environ["HELM"] = str(tools.oldest_helm(install=True))
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    if "VLLM_CHART_RENDERS" not in os.environ:
        os.environ["VLLM_CHART_RENDERS"] = str(_renders())


def _renders() -> Path:
    """Return the folder of kept renders, without those older than a week: each change of the chart adds a thousand."""
    folder = CACHE / "renders"
    week = 7 * 24 * 3600
    for file in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another run may rename or delete it
            if time.time() - file.stat().st_mtime > week:
                file.unlink()
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `value_set` once for each."""
    if "value_set" in metafunc.fixturenames:
        sets = value_sets()
        metafunc.parametrize("value_set", sets, ids=[item.name for item in sets], scope="session")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Print which Helm the tests use."""
    lines = [f"helm: {'.'.join(map(str, helm.version()))} ({helm.binary()})"]
    if config.getoption("helm") == "suitable" and not tools.oldest_helm(install=False):
        version = VERSIONS["tools"]["helm"]["oldest"]
        lines.append(f"helm: not repeated with Helm {version}, which is not installed: `make test-all` installs it")
    return lines


@pytest.fixture(scope="session")
def rendered(value_set: ValueSet) -> Render:
    """The value set's render."""
    return helm.render(value_set.path)


@pytest.fixture(scope="session")
def last_release() -> LastRelease:
    """The release before this commit; skips where the checkout has no history."""
    found = releases.last_release()
    if not found:
        pytest.skip(releases.UNKNOWN)
    return found


def _clean(findings: Sequence[Finding], rendered: Render) -> None:
    if findings:
        # without the code around it, as the report says all
        pytest.fail(report(findings, rendered.command), pytrace=False)


@pytest.fixture(scope="session")
def clean() -> Callable[[Sequence[Finding], Render], None]:
    """A check that there are no findings; it fails with all of them and the command that shows them."""
    return _clean
