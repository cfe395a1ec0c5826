"""The release that the tests talk to, on the cluster of `make cluster`, and what they measured, in one table."""

import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from _pytest.reports import TestReport
from _pytest.terminal import TerminalReporter
from kubernetes import client, config
from pytest_helm_charts.clusters import Cluster

from ci import demo, load_images
from ci.common import ROOT
from ci.demo import MODEL
from ci.helm_release import NODE_PORT_VALUES, HelmRelease
from tests.e2e.load import Report
from tests.e2e.releases import ACTIVE_RELEASES, fresh
from tests.e2e.terminations import PodTerminations
from vllm_chart.cache import CACHE

DELAY_SECONDS = 8  # shorter than the chart's default, as no load balancer has to learn of a change here
FILES = [ROOT / "values" / "cpu.yaml"]
_ROWS: dict[str, list[dict[str, Any]]] = {}  # by stage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker("e2e")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, TestReport, TestReport]:
    report = yield
    if report.failed:
        for release in ACTIVE_RELEASES:
            folder = release.collect()
            report.sections.append((f"{release.name} on the cluster", f"describe, events, logs, manifest: {folder}"))
    return report


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what was measured, and keep it as JSON, a file for each stage."""
    folder = Path(os.environ.get("VLLM_CHART_REPORTS") or CACHE / "reports")
    for stage, rows in _ROWS.items():
        terminalreporter.section(f"measured: {stage}")
        for row in rows:
            terminalreporter.line("  ".join(f"{key}: {value}" for key, value in row.items()))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"measured-{stage}.json").write_text(json.dumps(rows, indent=1))


@pytest.fixture(scope="session")
def record() -> Callable[..., None]:
    """Adds a row to the table: what happened, under which load, what its clients saw, and further numbers."""

    def add(event: str, report: Report | None = None, **numbers: object) -> None:
        stage = Path(os.environ["PYTEST_CURRENT_TEST"].split("::")[0]).parent.name
        _ROWS.setdefault(stage, []).append({"event": event} | ({"clients": str(report)} if report else {}) | numbers)

    return add


@pytest.fixture(scope="session")
def values() -> dict[str, Any]:
    """What the tests lay over values/cpu.yaml: the cluster's own model, a port on 127.0.0.1, a short drain delay."""
    if demo.RELEASE.exists():
        pytest.exit(
            f"The demo's release has the port: `helm -n {demo.RELEASE.namespace} uninstall {demo.RELEASE.name}`."
        )
    uri = load_images.model()
    model = {"name": MODEL} | ({"uri": uri} if uri else {})
    return NODE_PORT_VALUES | {"model": model, "drain": {"delaySeconds": DELAY_SECONDS}}


@pytest.fixture(scope="module")
def new_release(request: pytest.FixtureRequest) -> Iterator[Callable[..., HelmRelease]]:
    """Makes releases by name, in a namespace of the stage's own, which end with the test file."""
    stage = request.path.parent.name
    with ExitStack() as releases:
        yield lambda name, namespace=f"vllm-e2e-{stage}": releases.enter_context(fresh(name, namespace))


@pytest.fixture(scope="session")
def release(values: dict[str, Any]) -> Iterator[HelmRelease]:
    """The chart with values/cpu.yaml, installed once and Ready, behind the port on 127.0.0.1."""
    with fresh("vllm", "vllm-e2e") as release:
        release.install(FILES, values)
        release.wait()
        yield release


@pytest.fixture(scope="session")
def install(release: HelmRelease, values: dict[str, Any]) -> Callable[..., None]:
    """Upgrades the release with a test's own values, and returns when old pods are gone."""

    def upgrade(**changes: Any) -> None:
        release.install(FILES, values | changes)
        release.settle()

    return upgrade


@pytest.fixture
def terminations(kube_cluster: Cluster, release: HelmRelease) -> Iterator[PodTerminations]:
    """How and when pods of the release end while the test runs."""
    with PodTerminations(kube_cluster.kube_config_path, release) as watching:
        yield watching


@pytest.fixture(scope="session")
def api(release: HelmRelease) -> Iterator[httpx.Client]:
    """A client of the release's Service, by a port-forward, which a rollout would end."""
    with (
        release.forward(f"service/{release.name}", 80) as address,
        httpx.Client(base_url=f"http://{address}", timeout=60) as connection,
    ):
        yield connection


@pytest.fixture(scope="module")
def core(kube_cluster: Cluster, chart_path: str) -> client.CoreV1Api:
    """The Kubernetes API of the cluster that pytest-helm-charts was pointed to."""
    assert Path(chart_path, "Chart.yaml").is_file(), f"ATS_CHART_PATH={chart_path} is no chart"
    config.load_kube_config(kube_cluster.kube_config_path)
    return client.CoreV1Api()
