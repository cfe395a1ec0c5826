"""An upgrade from the last release changes no immutable field, and restarts pods only where the changelog says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.common import ROOT
from scripts.last_release import LastRelease
from vllm_chart.chart import CHART
from vllm_chart.render import helm
from vllm_chart.render.helm import HelmError
from vllm_chart.render.objects import Manifest, Objects

#: Fields that an API server refuses to change, by kind.
IMMUTABLE: dict[str, list[tuple[str, ...]]] = {
    "Deployment": [("spec", "selector")],
    "PersistentVolumeClaim": [("spec", "accessModes"), ("spec", "storageClassName"), ("spec", "volumeName")],
    "Service": [("spec", "clusterIP")],
    "Job": [("spec", "template"), ("spec", "selector")],
    "LeaderWorkerSet": [("spec", "leaderWorkerTemplate", "subGroupPolicy")],  # refused by its own webhook
    "StatefulSet": [("spec", "selector"), ("spec", "serviceName"), ("spec", "volumeClaimTemplates")],
}

#: Kinds whose objects hold on to something under their name: servers, an address, or weights.
KEPT_BY_NAME = ("Deployment", "LeaderWorkerSet", "Service", "PersistentVolumeClaim")

#: Where the pods of a kind stand, which restart when it changes.
POD_TEMPLATES = {"Deployment": ("spec", "template"), "LeaderWorkerSet": ("spec", "leaderWorkerTemplate")}

#: How Helm is told that there is a release already.
UPGRADE = ("--is-upgrade",)

#: What a release says under Changed where its pods restart at the upgrade.
RESTART = "restart at the upgrade"


@pytest.fixture(scope="module")
def released(last_release: LastRelease) -> Path:
    """The folder with the last release's charts and values."""
    return last_release.unpacked()


@pytest.fixture(scope="module")
def upgrades(released: Path) -> dict[str, tuple[Objects, Objects]]:
    """The objects of each values file of the last release, by its chart and by this one."""
    found = {}
    for values in sorted((released / "values").glob("*.yaml")):
        before = helm.render(values, chart=released / "charts" / CHART.name)
        found[values.name] = (before.objects, helm.render(values, options=UPGRADE).objects)
    return found


Upgrades = dict[str, tuple[Objects, Objects]]


def pairs(before: Objects, after: Objects) -> list[tuple[Manifest, Manifest]]:
    """Objects that are there before and after an upgrade."""
    later = {(item.kind, item.name): item for item in after}
    return [(item, later[item.kind, item.name]) for item in before if (item.kind, item.name) in later]


def frozen(manifest: Manifest) -> dict[str, Any]:
    """The fields of an object that can't change."""
    found = {}
    for path in IMMUTABLE.get(manifest.kind, []):
        value: Any = manifest.body
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        found[".".join(path)] = value
    return found


def test_values_of_the_last_release_are_still_taken(released: Path) -> None:
    for values in sorted((released / "values").glob("*.yaml")):
        try:
            helm.render(values, options=UPGRADE)
        except HelmError as error:
            pytest.fail(
                f"{values.name} of the last release is refused now: say so in CHANGELOG.md, and keep it:\n{error}"
            )


def test_an_upgrade_changes_nothing_that_cannot_be_changed(upgrades: Upgrades) -> None:
    for name, (before, after) in upgrades.items():
        for earlier, later in pairs(before, after):
            assert frozen(earlier) == frozen(later), f"{name}: {earlier}"


def test_an_upgrade_makes_no_second_server_and_leaves_no_claim_behind(upgrades: Upgrades) -> None:
    for name, (before, after) in upgrades.items():
        for kind in KEPT_BY_NAME:
            assert {item.name for item in before.of(kind)} == {item.name for item in after.of(kind)}, f"{name}: {kind}"


def restarts(before: Objects, after: Objects) -> bool:
    """True if an upgrade changes the pod template of a workload."""
    return any(
        earlier.at(*POD_TEMPLATES[earlier.kind]) != later.at(*POD_TEMPLATES[earlier.kind])
        for earlier, later in pairs(before, after)
        if earlier.kind in POD_TEMPLATES
    )


def test_pods_that_restart_at_an_upgrade_are_told_of(upgrades: Upgrades, last_release: LastRelease) -> None:
    restarting = [name for name, objects in upgrades.items() if restarts(*objects)]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    since = changes.partition(f"\n## [{last_release.version}]")[0]
    told = RESTART in " ".join(since.split())
    assert told == bool(restarting), f"CHANGELOG.md says of pods that {RESTART}: {told}; they do in {restarting}"
