"""The chart inside another: plain and under an alias, with conditions, globals and anchors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vllm_chart.chart import CHART
from vllm_chart.invariants import names
from vllm_chart.render import helm
from vllm_chart.render.objects import Objects

PARENT = """
apiVersion: v2
name: platform
version: 0.1.0
dependencies:
  - {name: vllm, version: ">=0.0.0-0", condition: vllm.enabled}
  - {name: vllm, version: ">=0.0.0-0", alias: embedding, condition: embedding.enabled}
  - {name: vllm, version: ">=0.0.0-0", alias: chatModel, condition: chatModel.enabled}
"""
VALUES: dict[str, Any] = {
    "global": {"imageRegistry": "mirror.example", "imagePullSecrets": ["mirror"]},
    "vllm": {"enabled": True, "x-note": "an anchor", "replicas": 2},
    "embedding": {"enabled": True, "accelerator": {"type": "cpu"}},
    "chatModel": {"enabled": False},
}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that uses ours twice."""
    folder = tmp_path_factory.mktemp("parent") / "platform"
    shutil.copytree(CHART, folder / "charts" / "vllm")
    (folder / "Chart.yaml").write_text(PARENT, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def objects(parent: Path) -> Objects:
    return helm.render(VALUES, chart=parent, release="prod").objects


def test_both_uses_have_their_own_objects(objects: Objects) -> None:
    assert {item.name for item in objects.of("Deployment")} == {"prod-vllm", "prod-embedding"}
    for service in objects.of("Service"):
        selector = service.at("spec", "selector").items()
        picked = [
            item.name
            for item in objects.of("Deployment")
            if selector <= item.at("spec", "template", "metadata", "labels").items()
        ]
        assert picked == [service.name]


def test_values_and_globals_reach_each_use(objects: Objects) -> None:
    assert objects.one("Deployment", "prod-vllm").at("spec", "replicas") == 2
    pod = objects.one("Deployment", "prod-embedding").at("spec", "template", "spec")
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]
    assert pod["containers"][0]["image"].startswith("mirror.example/vllm/vllm-openai-cpu:")


def test_a_condition_removes_one_use(parent: Path) -> None:
    values = {**VALUES, "vllm": {"enabled": False}}
    objects = helm.render(values, chart=parent, release="prod").objects
    assert {item.name for item in objects.of("Deployment")} == {"prod-embedding"}


def test_a_typo_inside_a_subchart_is_refused(parent: Path) -> None:
    with pytest.raises(helm.HelmError, match="replikas"):
        helm.render({"embedding": {"replikas": 1}}, chart=parent)


@pytest.mark.parametrize("place", ["a values file", "the parent's values.yaml"])
def test_null_for_a_key_of_a_subchart_is_refused_or_has_no_effect(place: str, parent: Path, tmp_path: Path) -> None:
    null: dict[str, Any] = {"embedding": {"drain": {"delaySeconds": None}}}
    chart = Path(shutil.copytree(parent, tmp_path / "platform"))
    if place == "the parent's values.yaml":
        (chart / "values.yaml").write_text(json.dumps(null), encoding="utf-8")
        null = {}
    # each major version of Helm obeys null in one of the places
    if (helm.version()[0] == 3) == (place == "the parent's values.yaml"):
        with pytest.raises(helm.HelmError, match=r"(?s)(?=.*delaySeconds)(?=.*leave the missing key out)"):
            helm.render(null, chart=chart)
    else:
        assert helm.render(null, chart=chart).text == helm.render({}, chart=parent).text


def test_an_alias_with_capitals_gives_names_that_kubernetes_takes(parent: Path) -> None:
    values = {use: {"enabled": use == "chatModel"} for use in ("vllm", "embedding", "chatModel")}
    objects = helm.render(values, chart=parent, release="prod").objects
    assert not names.findings(objects)
    assert objects.one("Service").name.startswith("prod-chatmodel-")
