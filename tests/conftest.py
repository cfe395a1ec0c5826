"""What every layer of tests shares: the value sets, one render of each, and a failure that names its command."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from scripts import last_release as releases
from scripts.last_release import LastRelease
from scripts.value_sets import ValueSet, value_sets
from vllm_chart.render import helm
from vllm_chart.render.findings import Finding, report
from vllm_chart.render.helm import Render


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `value_set` once for each."""
    if "value_set" in metafunc.fixturenames:
        sets = value_sets()
        metafunc.parametrize("value_set", sets, ids=[item.name for item in sets], scope="session")


def pytest_report_header() -> str:
    """Say which Helm the tests use."""
    return f"helm: {'.'.join(map(str, helm.version()))} ({helm.binary()})"


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
