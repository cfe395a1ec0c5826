"""How renders of related values relate: defaults written out, parts switched off, marks followed, keys taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness import go_yaml, helm
from harness.helm import CHART, HelmError
from harness.objects import Objects
from harness.value_sets import TESTED, ValueSet

DEFAULTS: dict[str, Any] = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
EVERYTHING: dict[str, Any] = go_yaml.load((TESTED / "everything.yaml").read_text(encoding="utf-8"))
ELSE: dict[str, Any] = go_yaml.load((TESTED / "everything-else.yaml").read_text(encoding="utf-8"))

Steps = tuple[str, ...]


def leaves(values: dict[str, Any], path: Steps = ()) -> Iterator[Steps]:
    """Paths to all that is no map with keys."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def at(values: Any, path: Steps) -> Any:
    """What stands at a path; None where nothing does."""
    for step in path:
        values = values.get(step) if isinstance(values, dict) else None
    return values


def having(values: dict[str, Any], path: Steps, new: Any) -> dict[str, Any]:
    """Values with another one at a path."""
    first, *rest = path
    return {**values, first: having(values.get(first) or {}, tuple(rest), new) if rest else new}


def lacking(values: dict[str, Any], path: Steps) -> dict[str, Any]:
    """Values without what stands at a path."""
    first, *rest = path
    if not rest:
        return {key: value for key, value in values.items() if key != first}
    return {**values, first: lacking(values[first], tuple(rest))}


def test_a_default_that_is_written_out_changes_nothing(value_set: ValueSet) -> None:
    if "null" in json.dumps(value_set.values()):
        pytest.skip("a null takes away a default, and is kept where the default stands in a file of its own")
    written_out = helm.render(CHART / "values.yaml", value_set.path)
    assert written_out.text == helm.render(value_set.path).text


# -- enabled

SWITCHES = [path for path in leaves(DEFAULTS) if path[-1] == "enabled"]

#: What a part must be told before it can be switched on.
NEEDS: dict[str, Any] = {
    "autoscaling": {"keda": {"serverAddress": "http://prometheus:9090"}},
    "httpRoute": {"parentRefs": [{"name": "public"}]},
    "inferencePool": {"endpointPicker": {"name": "picker"}},
}

#: Parts that make no object, but a part of one.
NO_OBJECT = {("warmup",), ("metrics", "scrapeAnnotations")}


def kinds(objects: Objects) -> set[tuple[str, str]]:
    """Template of every object, and the kind where a template makes objects of several switches."""
    return {(item.source, item.kind if item.source.endswith("/monitors.yaml") else "") for item in objects}


@pytest.mark.parametrize("switch", SWITCHES, ids=".".join)
def test_a_part_that_is_switched_off_leaves_no_object_behind(switch: Steps) -> None:
    on = having({key: NEEDS[key] for key in NEEDS if key == switch[0]}, switch, True)
    added = kinds(helm.render(on).objects) - kinds(helm.render({}).objects)
    assert bool(added) is (switch[:-1] not in NO_OBJECT)
    for values in (EVERYTHING, ELSE):
        if at(values, switch):
            assert not added & kinds(helm.render(having(values, switch, False)).objects)
            assert added <= kinds(helm.render(values).objects)


# -- marks

#: Places of values where a text of the user's stands, and the kinds of objects that show it (a pod is the test's).
MARKS: dict[Steps, set[str]] = {
    ("commonAnnotations", "common"): {"every object"},
    ("commonLabels", "common"): {"every object", "pods"},
    ("podAnnotations", "mark"): {"pods"},
    ("podLabels", "mark"): {"pods"},
    ("nodeSelector", "mark"): {"pods", "Pod"},
    ("priorityClassName",): {"pods"},
    ("runtimeClassName",): {"pods"},
    ("engine", "env", "MARK"): {"pods"},
    ("engine", "args", "tokenizer"): {"pods"},
    ("engine", "files", "mark"): {"ConfigMap/test-files"},
    ("model", "revision"): {"pods"},
    ("model", "name"): {"pods", "Pod", "ConfigMap/test-lifecycle"},
    ("model", "credentials", "existingSecret"): {"pods"},
    ("image", "tag"): {"pods", "Pod"},
    ("service", "annotations", "mark"): {"Service"},
    ("serviceAccount", "annotations", "mark"): {"ServiceAccount"},
    ("ingress", "annotations", "mark"): {"Ingress"},
    ("ingress", "className"): {"Ingress"},
    ("httpRoute", "annotations", "mark"): {"HTTPRoute"},
    ("httpRoute", "parentRefs"): {"HTTPRoute"},
    ("metrics", "serviceMonitor", "labels", "mark"): {"ServiceMonitor"},
    ("metrics", "podMonitor", "labels", "mark"): {"PodMonitor"},
    ("metrics", "scrapeConfig", "labels", "mark"): {"ConfigMap/test-scrape-config"},
    ("metrics", "rules", "labels", "mark"): {"PrometheusRule"},
    ("metrics", "rules", "runbookUrl"): {"PrometheusRule"},
    ("metrics", "dashboard", "labels", "mark"): {"ConfigMap/test-dashboard"},
    ("metrics", "dashboard", "annotations", "mark"): {"ConfigMap/test-dashboard"},
    ("autoscaling", "keda", "query"): {"ScaledObject"},
    ("autoscaling", "keda", "serverAddress"): {"ScaledObject"},
    ("tracing", "endpoint"): {"pods"},
    ("cache", "model", "storageClassName"): {"PersistentVolumeClaim"},
    ("extraObjects", "mark", "data", "mark"): {"ConfigMap/mark"},
    ("inferencePool", "endpointPicker", "name"): {"InferencePool"},
}


def marked() -> dict[str, Any]:
    """Values with everything on that can be together, and a mark of its own in each place."""
    values: dict[str, Any] = {
        "warmup": {"enabled": True},
        "ingress": {"enabled": True},
        "httpRoute": {"enabled": True},
        "inferencePool": {"enabled": True},
        "networkPolicy": {"enabled": True},
        "podDisruptionBudget": {"enabled": True},
        "autoscaling": {"keda": {"enabled": True}},
        "metrics": {name: {"enabled": True} for name in DEFAULTS["metrics"]},
        "cache": {"model": {"type": "claim", "size": "1Gi"}},
        "model": {"credentials": {"key": "token"}},
        "checks": {"disabled": {"metricsOnce": True, "claimAccess": True}},
        "extraObjects": {"mark": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mark"}}},
    }
    for number, path in enumerate(MARKS):
        text: Any = f"mark{number:02}end"
        if path[-1] in ("serverAddress", "endpoint"):
            text = f"http://{text}"
        values = having(values, path, [{"name": text}] if path[-1] == "parentRefs" else text)
    return values


def test_a_mark_in_each_place_lands_in_the_right_objects_and_nowhere_else() -> None:
    objects = helm.render(marked()).objects
    for number, (path, expected) in enumerate(MARKS.items()):
        found = set()
        for manifest in objects:
            pods = manifest.body.get("spec", {}).get("template") if manifest.kind == "Deployment" else None
            rest = {**manifest.body, "spec": None} if pods else manifest.body
            if f"mark{number:02}end" in json.dumps(pods):
                found.add("pods")
            if f"mark{number:02}end" in json.dumps(rest):
                several = len(objects.of(manifest.kind)) > 1
                found.add(f"{manifest.kind}/{manifest.name}" if several else manifest.kind)
        if "every object" in expected:
            of_chart = [item for item in objects if item.name != "mark"]
            names = {f"{item.kind}/{item.name}" if len(objects.of(item.kind)) > 1 else item.kind for item in of_chart}
            expected = (expected - {"every object"}) | names  # noqa: PLW2901
        assert found == expected, ".".join(path)


# -- what a key is for

#: Keys of everything.yaml that change no object there, with the reason.
IDLE = {
    "x-labels.team": "an anchor",
    "image.registry": "global.imageRegistry replaces it",
    "global.imagePullSecrets": "imagePullSecrets names the same",
    "model.lora.adapters.gone": "null takes it away",
    "ingress.hosts.gone.example.com": "null takes it away",
    "engine.args.seed": "null leaves it to vLLM",
    "engine.args.disable-log-stats": "a switch that is off",
    "networkPolicy.namespaces.elsewhere": "a namespace that may not enter",
    "warmup.request.path": "the kind of model has the same",
    "accelerator.type": "its default, as a resource of NVIDIA's is named",
    "accelerator.perPod": "as many as the parallel sizes give",
    "cache.model.keep": "a claim that is there is no claim of the chart's",
    "replicas": "an autoscaler owns the number",
    "podSecurityContext.runAsUser": "securityPreset openshift leaves it to the cluster",
}


@pytest.mark.parametrize("root", EVERYTHING)
def test_every_key_of_everything_yaml_changes_something(root: str) -> None:
    idle = set()
    before = helm.render(EVERYTHING).text
    for path in leaves({root: EVERYTHING[root]}):
        default = at(DEFAULTS, path)
        try:
            values = lacking(EVERYTHING, path) if default is None else having(EVERYTHING, path, default)
            if helm.render(values).text == before:
                idle.add(".".join(path))
        except HelmError:
            continue  # a check has seen that something is missing
    assert idle == {name for name in IDLE if name.partition(".")[0] == root}, sorted(idle)
