"""The release that the tests talk to, on the cluster of `make cluster`."""

import re
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest
from _pytest.reports import TestReport
from kubernetes import client, config
from pytest_helm_charts.clusters import Cluster

from scripts import cluster, preload
from scripts.common import ROOT
from scripts.demo import MODEL
from scripts.release import Release

RELEASE = Release("vllm", "vllm-e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker("e2e")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, TestReport, TestReport]:
    report = yield
    if report.failed:
        folder = RELEASE.collect()
        report.sections.append(("what was on the cluster", f"describe, events, logs and manifest: {folder}"))
    return report


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    """The chart with values/cpu.yaml, installed once and Ready, in a namespace that enforces "restricted"."""
    uri = preload.model()
    values = {"model": {"name": MODEL} | ({"uri": uri} if uri else {})}
    RELEASE.create_namespace()
    RELEASE.uninstall()
    RELEASE.install([ROOT / "values" / "cpu.yaml"], values)
    RELEASE.wait()
    yield RELEASE
    RELEASE.uninstall()


@pytest.fixture(scope="session")
def api(release: Release) -> Iterator[httpx.Client]:
    """A client of the release's Service, by a port-forward, so that a demo may run beside the tests."""
    command = ["kubectl", f"--kubeconfig={cluster.KUBECONFIG}", f"--namespace={release.namespace}"]
    forward = subprocess.Popen(
        [*command, "port-forward", f"service/{release.name}", ":80"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert forward.stdout
        address = re.search(r"127\.0\.0\.1:\d+", forward.stdout.readline())
        assert address, "kubectl port-forward ended"
        with httpx.Client(base_url=f"http://{address[0]}", timeout=60) as connection:
            yield connection
    finally:
        forward.terminate()
        forward.communicate()


@pytest.fixture(scope="module")
def core(kube_cluster: Cluster, chart_path: str) -> client.CoreV1Api:
    """The Kubernetes API of the cluster that pytest-helm-charts was pointed to."""
    assert Path(chart_path, "Chart.yaml").is_file(), f"ATS_CHART_PATH={chart_path} is no chart"
    config.load_kube_config(kube_cluster.kube_config_path)
    return client.CoreV1Api()
