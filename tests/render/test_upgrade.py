"""An upgrade from the last release changes no immutable field, and restarts pods only where the changelog says so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from harness import helm
from harness.helm import CHART, ROOT, HelmError
from harness.objects import Manifest, Objects

#: Fields that an API server refuses to change, by kind.
IMMUTABLE: dict[str, list[tuple[str, ...]]] = {
    "Deployment": [("spec", "selector")],
    "PersistentVolumeClaim": [("spec", "accessModes"), ("spec", "storageClassName"), ("spec", "volumeName")],
    "Service": [("spec", "clusterIP")],
    "Job": [("spec", "template"), ("spec", "selector")],
    "StatefulSet": [("spec", "selector"), ("spec", "serviceName"), ("spec", "volumeClaimTemplates")],
}

#: Kinds whose objects hold on to something under their name: servers, an address, or weights.
KEPT_BY_NAME = ("Deployment", "Service", "PersistentVolumeClaim")

#: What a release says under Changed where its pods restart at the upgrade.
RESTART = "restart at the upgrade"


def git(*arguments: str) -> str:
    """What git prints; empty where it fails, as outside a checkout."""
    if not shutil.which("git"):
        return ""
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def last_tag() -> str:
    """The tag of the last release before this checkout, as v0.1.0; empty where there is none."""
    return git("describe", "--tags", "--abbrev=0", "--match", "v*")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout's chart and values as they were at the last tag."""
    tag = last_tag()
    if not tag:
        pytest.skip("this checkout has no tag of a release to upgrade from (git fetch --tags brings them)")
    folder = tmp_path_factory.mktemp("released")
    archive = folder / "released.tar"
    git("archive", "--output", str(archive), tag, "charts", "values")
    shutil.unpack_archive(archive, folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def upgrades(released: Path) -> dict[str, tuple[Objects, Objects]]:
    """The objects of each values file of the last release, by its chart and by this one."""
    found = {}
    for values in sorted((released / "values").glob("*.yaml")):
        before = helm.render(values, chart=released / "charts" / CHART.name)
        found[values.name] = (before.objects, helm.render(values, options=("--is-upgrade",)).objects)
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
            helm.render(values)
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


def test_pods_that_restart_at_an_upgrade_are_told_of(upgrades: Upgrades) -> None:
    restarting = [
        name
        for name, (before, after) in upgrades.items()
        for earlier, later in pairs(before, after)
        if earlier.kind == "Deployment" and earlier.at("spec", "template") != later.at("spec", "template")
    ]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    since = changes.partition(f"\n## [{last_tag().removeprefix('v')}]")[0]
    told = RESTART in " ".join(since.split())
    assert told == bool(restarting), f"CHANGELOG.md says of pods that {RESTART}: {told}; they do in {restarting}"
