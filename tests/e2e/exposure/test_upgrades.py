"""Upgrades under load: from the last release, by another Helm, and ones that fail and are taken back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ci import tools
from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from scripts.last_release import LastRelease
from tests.e2e.conftest import FILES
from tests.e2e.exposure.workbench import STREAMS, exposures, nothing_lost
from tests.e2e.load import Load, under_load
from tests.e2e.terminations import PodTerminations
from vllm_chart.chart import CHART
from vllm_chart.errors import CommandError

KILLED = 137
NewRelease = Callable[..., HelmRelease]
Record = Callable[..., None]


def _by_old_helm(release: HelmRelease) -> HelmRelease:
    """The same release in the hands of the oldest Helm."""
    return replace(release, program=str(tools.oldest_helm(install=True)))


def _upgrade(release: HelmRelease, chart: Path, values: dict[str, Any], *flags: str) -> None:
    files = [word for file in FILES for word in ("--values", str(file))]
    release.helm("upgrade", "--install", release.name, chart, *files, "--values=-", *flags, stdin=json.dumps(values))


def _load() -> Load:
    return Load(base_url(), MODEL, STREAMS)


def _servers(release: HelmRelease) -> set[str]:
    return {pod["metadata"]["name"] for pod in release.pods()}


@pytest.fixture(scope="module")
def release(new_release: NewRelease) -> HelmRelease:
    """The release that these tests upgrade one after the other; not yet installed."""
    return new_release("upgraded")


@pytest.fixture(scope="module")
def serving(release: HelmRelease, values: dict[str, Any]) -> HelmRelease:
    """The same, with this commit's chart."""
    _upgrade(release, CHART, values)
    release.settle()
    return release


def test_the_last_release_becomes_this_commit(
    release: HelmRelease,
    last_release: LastRelease,
    values: dict[str, Any],
    terminations: PodTerminations,
    record: Record,
) -> None:
    _upgrade(_by_old_helm(release), last_release.unpacked() / "charts" / CHART.name, values)
    release.settle()
    before = _servers(release)
    with under_load(_load()) as load:
        _upgrade(release, CHART, values)
        release.settle()
    record(f"from {last_release.version}, installed by Helm 3.17, to this commit by Helm 4", load.report)
    assert not before & _servers(release)
    # servers of 0.1.0 don't ask clients to leave, and vLLM answers the last request of a kept connection with 500
    nothing_lost(load.report, known="after shutdown" if last_release.version == "0.1.0" else "")
    assert KILLED not in terminations.exit_codes.values()


def test_an_upgrade_to_an_image_that_is_not_there_is_rolled_back_by_helm(
    serving: HelmRelease, values: dict[str, Any], record: Record
) -> None:
    before = _servers(serving)
    missing = values | {"image": {"tag": "v0.0.0-none"}}
    with under_load(_load()) as load:
        with pytest.raises(CommandError):
            _upgrade(serving, CHART, missing, "--rollback-on-failure", "--timeout=45s")
        serving.settle()
    record("upgrade to a missing image, --rollback-on-failure of Helm 4", load.report)
    nothing_lost(load.report)
    assert _servers(serving) == before
    assert _last_revision(serving)["description"].startswith("Rollback to")


def test_an_upgrade_with_a_wrong_argument_is_rolled_back_by_hand(
    serving: HelmRelease, values: dict[str, Any], record: Record
) -> None:
    before = _servers(serving)
    old_helm = _by_old_helm(serving)
    with under_load(_load()) as load:
        _upgrade(old_helm, CHART, values | {"engine": {"extraArgs": ["--no-such-flag"]}})
        _await_crash(serving)
        old_helm.helm("rollback", serving.name)
        serving.settle()
    record("upgrade with an unknown argument, `helm rollback` of Helm 3.17", load.report)
    nothing_lost(load.report)
    assert _servers(serving) == before


def _last_revision(release: HelmRelease) -> dict[str, Any]:
    revision = dict(json.loads(release.helm("history", release.name, "--output=json"))[-1])
    assert revision["status"] == "deployed"
    return revision


def _await_crash(release: HelmRelease) -> None:
    """Return when a server has ended by itself."""
    deadline = time.monotonic() + 180
    while not [
        status
        for pod in release.pods()
        if "deletionTimestamp" not in pod["metadata"]
        for status in pod["status"].get("containerStatuses", [])
        if "terminated" in status["state"] | status["lastState"]
    ]:
        assert time.monotonic() < deadline, "no server has crashed in 3 minutes"
        time.sleep(0.5)


def test_the_oldest_helm_upgrades_what_the_newest_one_has(
    serving: HelmRelease, values: dict[str, Any], terminations: PodTerminations, record: Record
) -> None:
    before = _servers(serving)
    with under_load(_load()) as load:
        _upgrade(_by_old_helm(serving), CHART, values | {"podAnnotations": {"example.com/round": "oldest"}})
        serving.settle()
    record("rolling update by Helm 3.17 of a release that Helm 4 had upgraded", load.report)
    nothing_lost(load.report)
    assert not before & _servers(serving)
    assert KILLED not in terminations.exit_codes.values()


def test_without_surge_a_second_server_carries_a_bad_upgrade_and_its_rollback(
    serving: HelmRelease, values: dict[str, Any], record: Record
) -> None:
    no_surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    two = values | {"replicas": 2, "strategy": no_surge}
    _upgrade(serving, CHART, two)
    serving.settle()
    before = _servers(serving)
    with under_load(_load()) as load:
        _upgrade(serving, CHART, two | {"engine": {"extraArgs": ["--no-such-flag"]}})
        _await_crash(serving)
        serving.helm("rollback", serving.name)
        serving.settle()
    record("upgrade of 2 replicas without surge with an unknown argument, `helm rollback` of Helm 4", load.report)
    nothing_lost(load.report)
    after = _servers(serving)
    assert len(after) == 2
    assert len(after & before) == 1, "one server has gone for its successor, the other has stayed"


# -- without servers, which fit no node: all that counts are the objects

NOWHERE: dict[str, Any] = {"accelerator": {"type": "cpu"}, "nodeSelector": {"example.com/no-such-node": "true"}}


@pytest.mark.usefixtures("gateway_kinds")
@pytest.mark.parametrize("first", ["the oldest", "the newest"])
def test_each_helm_goes_on_where_the_other_left_off(new_release: NewRelease, first: str) -> None:
    newest = new_release(f"begun-by-{first.split()[1]}")
    helms = [newest, _by_old_helm(newest)] if first == "the newest" else [_by_old_helm(newest), newest]
    values = exposures() | NOWHERE
    for number, release in enumerate([*helms, *helms]):
        label = {"example.com/round": str(number)}
        _upgrade(release, CHART, values | {"podLabels": label, "commonAnnotations": label, "replicas": number + 1})
        deployment = json.loads(release.kubectl("get", "deployment", newest.name, "--output=json"))
        assert deployment["spec"]["replicas"] == number + 1
        assert deployment["spec"]["template"]["metadata"]["labels"].items() >= label.items()
        for kind in ("service", "ingress", "httproute", "inferencepool", "networkpolicy", "poddisruptionbudget"):
            item = json.loads(release.kubectl("get", kind, newest.name, "--output=json"))
            assert item["metadata"]["annotations"].items() >= label.items()
    releases = json.loads(newest.helm("history", newest.name, "--output=json"))
    assert [item["status"] for item in releases] == ["superseded"] * 3 + ["deployed"]


@pytest.mark.parametrize("helm", ["in use", "oldest"])
def test_weights_outlive_the_release_and_are_found_again(new_release: NewRelease, helm: str) -> None:
    release = new_release(f"kept-{helm.replace(' ', '-')}")
    if helm == "oldest":
        release = _by_old_helm(release)
    values = NOWHERE | {"cache": {"model": {"type": "claim", "size": "16Mi"}}}
    try:
        _upgrade(release, CHART, values)
        claims = _claims(release)
        release.uninstall()
        assert _claims(release) == claims
        _upgrade(release, CHART, values)
        assert _claims(release) == claims
        path = "--output=jsonpath={.spec.template.spec.volumes[*].persistentVolumeClaim.claimName}"
        assert release.kubectl("get", "deployment", release.name, path).split() == list(claims)
    finally:
        release.uninstall()
        release.kubectl("delete", "pvc", f"--selector=app.kubernetes.io/instance={release.name}")


def _claims(release: HelmRelease) -> dict[str, str]:
    """Ids of a release's claims by name; there are some."""
    selector = f"--selector=app.kubernetes.io/instance={release.name}"
    items = json.loads(release.kubectl("get", "pvc", selector, "--output=json"))["items"]
    assert items
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}
