"""How renders of related values relate: defaults written out, parts switched off, marks followed, keys taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.value_sets import TESTED, ValueSet
from tests.lib.value_paths import Steps, at, having, lacking, leaves
from tests.property import strategies
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.helm import HelmError
from vllm_chart.render.objects import TEMPLATES, Objects

DEFAULTS: dict[str, Any] = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
EVERYTHING: dict[str, Any] = go_yaml.load((TESTED / "everything.yaml").read_text(encoding="utf-8"))
ELSE: dict[str, Any] = go_yaml.load((TESTED / "everything-else.yaml").read_text(encoding="utf-8"))

#: A path, with 0 for a list's only item.
Path = tuple[str | int, ...]


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


def sources(objects: Objects) -> set[str]:
    """Template of every object; two make the rules, of which metrics.rules.kind chooses one."""
    return {item.source.replace("rules-configmap", "prometheusrule") for item in objects}


@pytest.mark.parametrize("switch", SWITCHES, ids=".".join)
def test_a_part_that_is_switched_off_leaves_no_object_behind(switch: Steps) -> None:
    on = having({key: NEEDS[key] for key in NEEDS if key == switch[0]}, switch, True)
    added = sources(helm.render(on).objects) - sources(helm.render({}).objects)
    assert bool(added) is (switch[:-1] not in NO_OBJECT)
    for values in (EVERYTHING, ELSE):
        if at(values, switch):
            assert not added & sources(helm.render(having(values, switch, False)).objects)
            assert added <= sources(helm.render(values).objects)


# -- marks

#: Kinds of objects that show the text at a place of values; "pods" are those of servers, and "Pod" is helm test's.
EVERY = {"every object"}
MARKS: dict[Path, set[str]] = {
    ("image", "repository"): {"pods", "Pod"},
    ("image", "tag"): {"pods", "Pod"},
    ("imagePullSecrets", 0, "name"): {"pods", "Pod"},
    ("commonLabels", "mark"): EVERY | {"pods"},
    ("commonAnnotations", "mark"): EVERY,
    ("model", "uri"): {"pods"},
    ("model", "revision"): {"pods"},
    ("model", "name"): {"pods", "Pod", "ConfigMap/test-lifecycle"},
    ("model", "aliases", 0): {"pods", "Pod"},
    ("model", "credentials", "existingSecret"): {"pods"},
    ("model", "credentials", "key"): {"pods"},
    ("accelerator", "resourceName"): {"pods"},
    ("engine", "args", "tokenizer"): {"pods"},
    ("engine", "extraArgs", 0): {"pods"},
    ("engine", "env", "MARK"): {"pods"},
    ("engine", "envFrom", 0, "prefix"): {"pods"},
    ("engine", "files", "mark"): {"ConfigMap/test-files"},
    ("server", "exposedPaths", 0): {"Ingress", "HTTPRoute"},
    ("warmup", "request", "path"): {"ConfigMap/test-lifecycle"},
    ("cache", "model", "storageClassName"): {"PersistentVolumeClaim"},
    ("cache", "compile", "claimName"): {"pods"},
    ("nodeSelector", "mark"): {"pods", "Pod"},
    ("tolerations", 0, "key"): {"pods", "Pod"},
    ("topologySpreadConstraints", 0, "topologyKey"): {"pods"},
    ("priorityClassName",): {"pods"},
    ("runtimeClassName",): {"pods"},
    ("podSecurityContext", "fsGroupChangePolicy"): {"pods", "Pod"},
    ("serviceAccount", "name"): {"pods", "Pod", "ServiceAccount"},
    ("serviceAccount", "annotations", "mark"): {"ServiceAccount"},
    ("service", "annotations", "mark"): {"Service"},
    ("ingress", "annotations", "mark"): {"Ingress"},
    ("ingress", "className"): {"Ingress"},
    ("httpRoute", "annotations", "mark"): {"HTTPRoute"},
    ("httpRoute", "parentRefs", 0, "name"): {"HTTPRoute"},
    ("httpRoute", "hostnames", 0): {"HTTPRoute"},
    ("inferencePool", "endpointPicker", "name"): {"InferencePool"},
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
    ("podLabels", "mark"): {"pods"},
    ("podAnnotations", "mark"): {"pods"},
    ("extraObjects", "mark", "data", "mark"): {"ConfigMap/mark"},
}

#: Texts of the schema that have no mark, by the beginning of their path, with the reason.
UNMARKED: dict[Path, str] = {
    ("image", "registry"): "stands before the repository, as tests of images say",
    ("image", "digest"): "replaces the tag",
    ("nameOverride",): "changes the names of all objects",
    ("fullnameOverride",): "changes the names of all objects",
    ("model", "copyFrom"): "needs a model in an image",
    ("distributed", "exclusiveTopology"): "is an annotation of groups alone",
    ("engine", "args"): "one flag stands for all, and a test renders each",
    ("server", "rootPath"): "comes before the paths that stand in other objects",
    ("server", "tls"): "excludes an InferencePool, which is on here",
    ("cache", "model", "claimName"): "names a claim instead of making one",
    ("cache", "model", "size"): "is a number with a unit",
    ("cache", "compile", "size"): "is a number with a unit",
    ("cache", "compile", "storageClassName"): "is of a claim that is made, as that of the other cache",
    ("resources", "claims"): "carries Kubernetes' own fields whole",
    ("tolerations",): "carries Kubernetes' own fields whole: one of them is marked",
    ("topologySpreadConstraints",): "carries Kubernetes' own fields whole: one of them is marked",
    ("podSecurityContext",): "carries Kubernetes' own fields whole: one of them is marked",
    ("securityContext",): "carries Kubernetes' own fields whole, which Pod Security reads",
    ("podDisruptionBudget", "maxUnavailable"): "is a number or a share",
    ("metrics", "serviceMonitor", "interval"): "is a time",
    ("metrics", "podMonitor", "interval"): "is a time",
    ("metrics", "scrapeConfig", "interval"): "is a time",
    ("autoscaling", "hpa"): "excludes KEDA, which is on here",
    ("httpRoute", "parentRefs"): "carries the Gateway's own fields whole: one of them is marked",
}

#: How a text must begin that is no plain word.
BEGINNINGS: dict[Path, str] = {
    ("model", "uri"): "hf://team/",
    ("accelerator", "resourceName"): "example.com/",
    ("server", "exposedPaths", 0): "/",
    ("warmup", "request", "path"): "/",
    ("metrics", "rules", "runbookUrl"): "http://",
    ("autoscaling", "keda", "serverAddress"): "http://",
    ("tracing", "endpoint"): "http://",
}


def test_every_text_that_the_schema_takes_has_a_mark_or_a_reason() -> None:
    places = set(texts(strategies.SCHEMA))
    reasoned = {place for place in places if any(place[: len(start)] == start for start in UNMARKED)}
    assert places - reasoned - MARKS.keys() == set(), "give it a place in MARKS, or a reason in UNMARKED"
    assert not [start for start in UNMARKED if not any(place[: len(start)] == start for place in places)]


def texts(node: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    """Paths to every text of a schema, with mark for any key and 0 for any item; Kubernetes' own types are left out."""
    name = node.get("$ref", "").rpartition("/")[2]
    node = strategies.resolve(node)
    if "const" in node or "enum" in node or name[:1].isupper():
        return
    kinds = strategies.types(node)
    if "string" in kinds and "object" not in kinds:
        yield path
    if "object" in kinds:
        left_out = strategies.FREE_WITHIN | (set() if path else strategies.FREE)
        inner = {key: item for key, item in node.get("properties", {}).items() if key not in left_out}
        more = node.get("additionalProperties")
        if isinstance(more, dict) and not inner:
            inner["mark"] = more
        for key, item in inner.items():
            yield from texts(item, (*path, key))
    if "array" in kinds:
        yield from texts(node.get("items", {}), (*path, 0))


def marked(nodes: int) -> dict[str, Any]:
    """Values with everything on that can be together, and a mark of its own in each place."""
    values: dict[str, Any] = {
        "warmup": {"enabled": True},
        "ingress": {"enabled": True},
        "httpRoute": {"enabled": True},
        "inferencePool": {"enabled": True},
        "networkPolicy": {"enabled": True},
        "podDisruptionBudget": {"enabled": True},
        "parallelism": {"nodes": nodes, "tensor": nodes},
        "autoscaling": {"keda": {"enabled": True}},
        "metrics": {name: {"enabled": True} for name in DEFAULTS["metrics"]},
        "cache": {"model": {"type": "claim", "size": "1Gi"}, "compile": {"type": "existing"}},
        "serviceAccount": {"create": True},
        "topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}],
        "checks": {"disabled": {"metricsOnce": True, "claimAccess": True, "exposedPaths": True}},
        "extraObjects": {"mark": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mark"}}},
    }
    for number, path in enumerate(MARKS):
        if str(path[0]).startswith("common"):  # whose key no other map may have, as that would win
            path = (path[0], "common")  # noqa: PLW2901
        values = holding(values, path, f"{BEGINNINGS.get(path, '')}mark{number:02}end")
    return values


def holding(values: Any, path: Path, text: str) -> Any:
    """Values with a text at a path, in maps and lists that are made where they are missing."""
    if not path:
        return text
    first, *rest = path
    if first == 0:
        return [holding((values or [{}])[0], tuple(rest), text)]
    return {**(values or {}), first: holding((values or {}).get(first), tuple(rest), text)}


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_mark_in_each_place_lands_in_the_right_objects_and_nowhere_else(nodes: int) -> None:
    objects = helm.render(marked(nodes)).objects
    wrong = {}
    for number, (path, expected) in enumerate(MARKS.items()):
        found = set()
        for manifest in objects:
            servers = [manifest.at(*place) for place in TEMPLATES.get(manifest.kind, {}) if place]
            rest = {**manifest.body, "spec": None} if servers else manifest.body
            if f"mark{number:02}end" in json.dumps(servers):
                found.add("pods")
            if f"mark{number:02}end" in json.dumps(rest):
                several = len(objects.of(manifest.kind)) > 1
                found.add(f"{manifest.kind}/{manifest.name}" if several else manifest.kind)
        if "every object" in expected:
            of_chart = [item for item in objects if item.of_chart]
            names = {f"{item.kind}/{item.name}" if len(objects.of(item.kind)) > 1 else item.kind for item in of_chart}
            expected = (expected - EVERY) | names  # noqa: PLW2901
        if found != expected:
            wrong[".".join(map(str, path))] = found ^ expected
    assert not wrong


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
