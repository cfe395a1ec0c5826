"""Prometheus scrapes both servers by the release's own configuration, whole, at a known cost."""

from collections.abc import Callable

import pytest

from ci.helm_release import HelmRelease
from ci.prometheus import Prometheus
from tests.e2e.observability.conftest import await_true

Record = Callable[..., None]


@pytest.fixture(scope="module")
def own(watched: HelmRelease) -> str:
    """What picks the release's targets."""
    return f'namespace="{watched.namespace}",pod=~"{watched.name}-[a-z0-9]+-[a-z0-9]{{5}}"'


def test_both_servers_are_up_and_labelled_as_the_rules_expect(
    watched: HelmRelease, own: str, prometheus: Prometheus
) -> None:
    up = prometheus.query(f"up{{{own}}}")
    assert [series.value for series in up] == [1, 1]
    expected = {(pod["metadata"]["name"], f"{pod['status']['podIP']}:8000") for pod in watched.pods()}
    assert {(series.labels["pod"], series.labels["instance"]) for series in up} == expected
    names = {"__name__", "job", "instance", "namespace", "pod"}
    assert {frozenset(series.labels) for series in up} == {frozenset(names)}
    assert {series.labels["job"] for series in up} == {f"{watched.namespace}/{watched.name}"}


def test_no_target_is_in_error(watched: HelmRelease, prometheus: Prometheus) -> None:
    targets = [
        t for t in prometheus.ask("targets")["activeTargets"] if t["labels"].get("namespace") == watched.namespace
    ]
    assert {t["labels"]["pod"] for t in targets} == {pod["metadata"]["name"] for pod in watched.pods()}
    assert {(t["health"], t["lastError"]) for t in targets} == {("up", "")}


def test_annotations_lead_to_both_servers(watched: HelmRelease, prometheus: Prometheus) -> None:
    up = 'up{job="annotated"} == 1'
    await_true(lambda: len(prometheus.query(up)) == 2, f"two series of {up}")
    expected = {f"{pod['status']['podIP']}:8000" for pod in watched.pods()}
    assert {series.labels["instance"] for series in prometheus.query(up)} == expected


def test_no_sample_is_dropped(own: str, prometheus: Prometheus) -> None:
    assert prometheus.value(f"min(scrape_samples_scraped{{{own}}})") > 300
    assert not prometheus.query(f"scrape_samples_scraped{{{own}}} != scrape_samples_post_metric_relabeling{{{own}}}")
    refused = '{__name__=~"prometheus_target_scrapes_(sample|exceeded).*_total"}'
    assert prometheus.query(refused)
    assert not prometheus.query(f"{refused} > 0")


def test_what_a_scrape_costs(own: str, prometheus: Prometheus, record: Record) -> None:
    numbers = {
        "samples": f"max(scrape_samples_scraped{{{own}}})",
        "kilobytes": f"max(scrape_body_size_bytes{{{own}}}) / 1e3",
        "median_milliseconds": f"max(quantile_over_time(0.5, scrape_duration_seconds{{{own}}}[10m])) * 1e3",
        "longest_milliseconds": f"max(max_over_time(scrape_duration_seconds{{{own}}}[10m])) * 1e3",
    }
    record("one scrape of one server", **{name: f"{prometheus.value(query):.1f}" for name, query in numbers.items()})
