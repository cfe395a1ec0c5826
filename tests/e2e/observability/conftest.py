"""A release that is watched in every way, one that can't start, and a Prometheus that sees both."""

import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from ci import demo
from ci.addons import install as addons
from ci.demo import MODEL
from ci.helm_release import NODE_PORT_VALUES, HelmRelease, base_url
from ci.prometheus import Prometheus
from tests.e2e.conftest import FILES
from tests.e2e.load import Load, Stream
from tests.e2e.releases import fresh

NAMESPACE = "vllm-e2e-observability"
SEATS = 4  # requests that a server has in work at a time; more wait
PATIENCE_SECONDS = 600

METRICS = {
    "scrapeConfig": {"enabled": True, "interval": "5s"},
    "rules": {"enabled": True, "kind": "ConfigMap", "dcgm": True},
    "dashboard": {"enabled": True},
}
#: Laid over the values of all stages.
WATCHED: dict[str, Any] = {
    "replicas": 2,
    "engine": {"args": {"max-num-seqs": SEATS}},
    "server": {"maxConcurrentRequests": 16},
    "metrics": METRICS | {"scrapeAnnotations": {"enabled": True}},
    # see ANNOTATED, by which nothing counts twice
    "checks": {"disabled": NODE_PORT_VALUES["checks"]["disabled"] | {"metricsOnce": True}},
    "tracing": {"endpoint": "http://collector.monitoring:4317"},
    "logging": {"format": "json"},
}
_ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"
#: A job that follows annotations, as many a Prometheus has one; what it reads is dropped, as it is there already.
ANNOTATED: dict[str, Any] = {
    "job_name": "annotated",
    "scrape_interval": "30s",
    "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [NAMESPACE]}}],
    "relabel_configs": [
        {"source_labels": [f"{_ANNOTATION}scrape"], "regex": "true", "action": "keep"},
        {"source_labels": [f"{_ANNOTATION}path"], "regex": "(.+)", "target_label": "__metrics_path__"},
        {
            "source_labels": ["__meta_kubernetes_pod_ip", f"{_ANNOTATION}port"],
            "separator": ":",
            "target_label": "__address__",
        },
    ],
    "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": ".*", "action": "drop"}],
}


def await_true(condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Clock time at which a condition was first seen to hold, asked twice a second."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not after {seconds:.0f} s: {what}"
        time.sleep(0.5)
    return time.monotonic()


def await_none(left: Callable[[], Collection[str]], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when nothing is left of what is waited for."""
    deadline = time.monotonic() + seconds
    while found := left():
        assert time.monotonic() < deadline, f"{what}, after {seconds:.0f} s: {sorted(found)}"
        time.sleep(0.5)


class Watching:
    """What is there to be watched, and who watches.

    Attributes:
        release: with two servers, behind the port on 127.0.0.1; Ready only by way of the fixture `watched`.
        broken: a release whose image doesn't exist.
        prometheus: scrapes both and has their rules.
        spans: lists what the collector of traces has received.
    """

    def __init__(self, release: HelmRelease, broken: HelmRelease, prometheus: Prometheus, collector: str) -> None:
        self.release, self.broken, self.prometheus = release, broken, prometheus
        self._collector = collector

    def spans(self) -> list[dict[str, Any]]:
        """The spans that the collector has received."""
        return list(httpx.get(f"http://{self._collector}", timeout=30).json())

    def alerts(self, release: HelmRelease, state: str) -> set[str]:
        """Names of a release's alerts that are in a state, `pending` or `firing`."""
        own = f'namespace="{release.namespace}",release="{release.name}",alertstate="{state}"'
        return {series.labels["alertname"] for series in self.prometheus.query(f"ALERTS{{{own}}}")}


@pytest.fixture(scope="session")
def watching(values: dict[str, Any]) -> Iterator[Watching]:
    """Both releases, installed and not waited for, and what watches them."""
    if demo.RELEASE.exists():
        pytest.exit(
            f"The demo's release has the port: `helm -n {demo.RELEASE.namespace} uninstall {demo.RELEASE.name}`."
        )
    with ExitStack() as stack:
        release, broken = (stack.enter_context(fresh(name, NAMESPACE)) for name in ("vllm", "broken"))
        release.install(FILES, values | WATCHED)
        missing = {"image": {"tag": "v0.0.0"}, "drain": {"delaySeconds": 1, "timeoutSeconds": 1}}
        # the sooner a start is overdue, the sooner its alerts fire
        missing |= {"startup": {"timeoutSeconds": 1}, "model": values["model"], "metrics": METRICS}
        broken.install(FILES, missing)
        gateway = {"job_name": "gateway", "static_configs": [{"targets": ["gateway:8080"]}]}
        prometheus = stack.enter_context(addons.prometheus([release, broken], [gateway, ANNOTATED]))
        upstream = {"UPSTREAM": f"{release.name}.{release.namespace}"}
        stack.enter_context(addons.script("gateway", 8080, environment=upstream))
        stack.enter_context(addons.script("collector", 8080, 4317, 4318))
        collector = stack.enter_context(addons.MONITORING.forward("service/collector", 8080))
        yield Watching(release, broken, prometheus, collector)


@pytest.fixture(scope="session")
def prometheus(watching: Watching) -> Prometheus:
    """The Prometheus."""
    return watching.prometheus


@pytest.fixture(scope="session")
def watched(watching: Watching) -> HelmRelease:
    """The release with two servers, Ready and scraped."""
    release = watching.release
    release.wait()
    up = f'up{{namespace="{release.namespace}",pod=~"{release.name}-.*"}} == 1'
    await_true(lambda: len(watching.prometheus.query(up)) == 2, f"two series of {up}")
    return release


class Traffic:
    """Steady clients, and bursts of more requests than the servers admit."""

    def __init__(self) -> None:
        self._load: Load | None = None

    def start(self) -> None:
        """Begin, where it doesn't run already."""
        if not self._load:
            self._load = Load(base_url(), MODEL, [Stream("new", pause=0.5), Stream("reused", pause=0.5)])
            self._load.start()
            self._stop = Event()
            self._bursts = Thread(target=self._burst_on, daemon=True)
            self._bursts.start()

    def stop(self) -> None:
        """Let the requests that run end."""
        if self._load:
            self._stop.set()
            self._load.stop()
            self._bursts.join()
            self._load = None

    def _burst_on(self) -> None:
        count = 44
        with httpx.Client(base_url=base_url(), timeout=120) as client, ThreadPoolExecutor(count) as pool:

            def ask(model: str) -> int:
                body = {"model": model, "prompt": "Count to ten:", "max_tokens": 8}
                return client.post("/v1/completions", json=body).status_code

            while not self._stop.wait(8):
                list(pool.map(ask, [MODEL] * (count - 1) + ["nobody"]))


@pytest.fixture(scope="session")
def _traffic() -> Iterator[Traffic]:
    running = Traffic()
    yield running
    running.stop()


@pytest.fixture
def busy(watched: HelmRelease, _traffic: Traffic) -> HelmRelease:
    """The release under traffic, some of which it refuses; it goes on into the next test."""
    _traffic.start()
    return watched


@pytest.fixture
def quiet(watched: HelmRelease, _traffic: Traffic) -> HelmRelease:
    """The release without the traffic of earlier tests."""
    _traffic.stop()
    return watched
