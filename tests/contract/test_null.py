"""What null in a values file means: the same as an empty default, and no way to take another default away.

The keys are read out of values.yaml; none is written down here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Refuse, Steps
from tests.contract.test_refusals import tree
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.helm import HelmError

pytestmark = pytest.mark.every_helm

DEFAULTS: dict[str, Any] = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
SOURCE: dict[str, Any] = go_yaml.load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))

#: Values that bring every object and optional part into the render, so that no empty key goes unread.
EVERYTHING: dict[str, Any] = {
    "accelerator": {"type": "cpu"},
    "metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
    "autoscaling": {"hpa": {"enabled": True}, "keda": {"enabled": True, "serverAddress": "http://prometheus"}},
    "cache": {"model": {"type": "claim", "size": "1Gi", "accessModes": ["ReadWriteMany"]}},
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "checks": {"disabled": {"metricsOnce": True, "autoscalers": True}},
}


def keys(defaults: dict[str, Any], node: dict[str, Any], path: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Path and default of every key of the chart's own, at any depth; fields of Kubernetes' types are not."""
    for key, default in defaults.items():
        inner = node["properties"].get(key, {})
        if "$ref" in inner:
            inner = SOURCE["definitions"][inner["$ref"].removeprefix("#/definitions/")]
        yield (*path, key), default
        if isinstance(default, dict) and "$k8s" not in inner:
            yield from keys(default, inner, (*path, key))


KEYS = dict(keys(DEFAULTS, SOURCE))
NEEDED = [path for path, default in KEYS.items() if default]
EMPTY = [path for path, default in KEYS.items() if not default]


def holds(values: Any, path: Steps) -> bool:
    """True if values set a key."""
    for step in path:
        if not isinstance(values, dict) or step not in values:
            return False
        values = values[step]
    return True


def merged(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Values with others laid over them."""
    result = dict(values)
    for key, value in over.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def test_there_are_keys_of_both_kinds_at_several_depths() -> None:
    assert {len(path) for path in NEEDED} >= {1, 2, 3}
    assert {len(path) for path in EMPTY} >= {1, 2, 3}


@pytest.mark.parametrize("depth", range(1, max(map(len, NEEDED)) + 1))
def test_null_for_a_default_that_is_not_empty_is_refused_by_name(depth: int, refuse: Refuse) -> None:
    paths = [path for path in NEEDED if len(path) == depth]
    complaints = refuse(tree((path, None) for path in paths))
    assert not [path for path in paths if not complaints.misses(path)]
    assert "leave the missing key out, or give it a value" in complaints.about(())


def test_no_other_key_is_missed(refuse: Refuse) -> None:
    complaints = refuse({"drain": {"delaySeconds": None}, "cache": {"model": None}})
    assert sorted(path for path in KEYS if complaints.misses(path)) == [("cache", "model"), ("drain", "delaySeconds")]


@pytest.mark.parametrize(
    "values",
    [{}, EVERYTHING, {"parallelism": {"nodes": 2, "tensor": 2}}],
    ids=["defaults", "everything", "several nodes"],
)
def test_null_for_an_empty_default_changes_nothing(values: dict[str, Any]) -> None:
    nulls = merged(tree((path, None) for path in EMPTY if not holds(values, path)), values)
    assert helm.render(nulls).text == helm.render(values).text
    assert helm.notes(nulls) == helm.notes(values)


@pytest.mark.parametrize("context", ["podSecurityContext", "securityContext"])
def test_null_takes_a_field_of_kubernetes_away(context: str) -> None:
    for field in DEFAULTS[context]:
        pod = helm.render({context: {field: None}}).objects.one("Deployment").at("spec", "template", "spec")
        rendered = pod if context == "podSecurityContext" else pod["containers"][0]
        assert rendered["securityContext"].keys() == DEFAULTS[context].keys() - {field}


def test_null_in_a_later_file_takes_a_default_away_as_well(tmp_path: Path) -> None:
    files = []
    for name, value in (("first", 5), ("second", None)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps({"drain": {"delaySeconds": value}}), encoding="utf-8")
        files.append(path)
    with pytest.raises(HelmError, match="delaySeconds"):
        helm.render(*files)
