"""A user's volume replaces the chart's volume of the same name, and values.yaml names those that may be replaced."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.value_sets import value_sets
from tests.lib.value_paths import having, lacking
from vllm_chart.chart import CHART
from vllm_chart.render import helm
from vllm_chart.render.objects import Objects, pods

Volumes = dict[str, dict[str, Any]]


def listed() -> tuple[set[str], set[str]]:
    """The chart's volumes that values.yaml lets a user replace, and those that it does not."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    comment = re.search(r"((?:^# .*\n)+)extraVolumes:", text, flags=re.MULTILINE)
    assert comment
    found = re.search(
        r"one of the chart's replaces it: (.*?)\. Do not replace (.*?), which", comment[1].replace("\n# ", " ")
    )
    assert found, "name the volumes in two sentences"
    replaceable, kept = (set(re.split(r", | and | or ", words)) for words in found.groups())
    return replaceable, kept


REPLACEABLE, KEPT = listed()
REPLACEMENT = {"persistentVolumeClaim": {"claimName": "mine"}}


def volumes(objects: Objects) -> list[Volumes]:
    """The volumes of each kind of pod that serves, by name."""
    return [
        {volume["name"]: volume for volume in pod.spec["volumes"]}
        for manifest in objects.servers()
        for pod in pods(manifest)
    ]


def without_own(values: dict[str, Any]) -> dict[str, Any]:
    """Values in which the user adds and replaces no volume, and no container mounts one."""
    values = {key: value for key, value in values.items() if not re.match("extraVolume|initContainers", key)}
    return lacking(values, ("podSpec", "volumes")) if values.get("podSpec") else values


@pytest.fixture(scope="module")
def chart_volumes() -> dict[str, tuple[str, dict[str, Any]]]:
    """Each volume that the chart makes of some value set: its name there, and the first values that have it."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for item in value_sets():
        values = without_own(item.values())
        for name in sorted({name for pod in volumes(helm.render(values).objects) for name in pod}):
            found.setdefault(re.sub(r"^adapter-.*?(-key)?$", r"adapter-NAME\1", name), (name, values))
    return found


def test_values_yaml_names_every_volume_of_the_chart(chart_volumes: dict[str, Any]) -> None:
    assert set(chart_volumes) == REPLACEABLE | KEPT


def test_values_yaml_lets_no_user_replace_the_middleware_and_the_keys() -> None:
    assert {"lifecycle", "api-keys", "server-config"} == KEPT


@pytest.mark.parametrize("volume", sorted(REPLACEABLE))
def test_extra_volume_replaces_chart_volume_of_its_name_and_nothing_else(
    volume: str, chart_volumes: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    name, values = chart_volumes[volume]
    before = volumes(helm.render(values).objects)
    after = volumes(helm.render(having(values, ("extraVolumes", name), REPLACEMENT)).objects)
    # the user's volumes are those of every pod, also of one for which the chart makes none of that name
    assert after == [pod | {name: {"name": name, **REPLACEMENT}} for pod in before]
