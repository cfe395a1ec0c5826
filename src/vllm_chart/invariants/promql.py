"""Checks PromQL against the metrics that really exist, as a capture of vLLM's /metrics in data/ tells.

Expressions stand in alert and recording rules, dashboards, triggers of KEDA and the rules of prometheus-adapter; each
must parse, and name only metrics, labels and bucket bounds that are there.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import promql_parser
import yaml

from vllm_chart.chart import DATA
from vllm_chart.render import go_yaml
from vllm_chart.render.findings import Finding
from vllm_chart.render.objects import Manifest, Objects, Step

_OTHER_METRICS = Path(__file__).parent / "data" / "other-metrics.yaml"

#: Labels that a scrape adds to every series of a pod.
TARGET_LABELS = frozenset(["job", "instance", "namespace", "pod"])

#: Templates that pass on a user's files and objects.
_OF_USERS = ("/files-configmap.yaml", "/extra-objects.yaml")

#: What Grafana fills in by itself.
_GRAFANA = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h"}


@dataclass(frozen=True)
class Metric:
    """One metric as it is exposed: its type, the labels of its series, and the bounds where it has buckets."""

    type: str
    labels: frozenset[str]
    bounds: tuple[str, ...] = ()


def parse_metrics(text: str) -> dict[str, Metric]:
    """Return the metrics in an answer of /metrics by name; a histogram is there as `_bucket`, `_count` and `_sum`."""
    types: dict[str, str] = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.MULTILINE))
    labels: dict[str, set[str]] = {}
    bounds: dict[str, dict[str, None]] = {}
    for name, inside in re.findall(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? \S+$", text, flags=re.MULTILINE):
        given = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', inside))
        labels.setdefault(name, set()).update(given)
        if name.endswith("_bucket"):
            bounds.setdefault(name, {})[given["le"]] = None
    found = {}
    for name, inside in labels.items():
        family = name if name in types else re.sub(r"_(bucket|count|sum)$", "", name)
        found[name] = Metric(types[family], frozenset(inside), tuple(bounds.get(name, ())))
    return found


@functools.cache
def vllm_metrics(version: str) -> dict[str, Metric]:
    """Return the metrics of a vLLM version such as 0.32.0; raises FileNotFoundError where there is no capture."""
    capture = json.loads((DATA / f"vllm-metrics-{version}.json").read_text(encoding="utf-8"))
    return {
        name: Metric(entry["type"], frozenset(entry["labels"]), tuple(entry.get("bounds", ())))
        for name, entry in capture.items()
    }


@functools.cache
def known_metrics(version: str) -> dict[str, Metric]:
    """Return vLLM's metrics with what a scrape adds to them, and those of the other exporters."""
    known = {
        name: Metric(metric.type, metric.labels | TARGET_LABELS, metric.bounds)
        for name, metric in vllm_metrics(version).items()
    }
    others = go_yaml.load(_OTHER_METRICS.read_text(encoding="utf-8"))
    for exporter in others.values():
        for name, labels in exporter["metrics"].items():
            known[name] = Metric("gauge", frozenset(labels) | TARGET_LABELS)
    return known


@dataclass(frozen=True)
class Expression:
    """One PromQL expression and where it stands."""

    manifest: Manifest
    path: tuple[Step, ...]
    text: str


@dataclass(frozen=True)
class Selector:
    """What an expression reads: the name of a metric, and its matchers as (label, operator, value)."""

    name: str
    matchers: frozenset[tuple[str, str, str]]

    def labels(self) -> set[str]:
        """Names of the labels that the matchers look at."""
        return {label for label, _, _ in self.matchers}


def selectors(text: str) -> list[Selector]:
    """Return everything that an expression reads; raises ValueError where it does not parse."""
    return list(_walk(promql_parser.parse(text)))


def _walk(node: Any) -> Iterator[Selector]:
    if isinstance(node, promql_parser.VectorSelector):
        matchers = frozenset(
            (item.name, str(item.op).rpartition(".")[2], item.value)
            for group in (node.matchers.matchers, *node.matchers.or_matchers)
            for item in group
        )
        named = [value for label, _, value in matchers if label == "__name__"]
        yield Selector(node.name or (named[0] if named else ""), matchers)
    elif isinstance(node, promql_parser.MatrixSelector):
        yield from _walk(node.vector_selector)
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from _walk(node.lhs)
        yield from _walk(node.rhs)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _walk(argument)
    elif hasattr(node, "expr"):
        yield from _walk(node.expr)


def problems(text: str, known: dict[str, Metric], recorded: Collection[str] = ()) -> list[str]:
    """One sentence for each thing that is wrong with an expression; what rules record has any name in `recorded`."""
    try:
        read = selectors(text)
    except ValueError as error:
        return [f"does not parse: {error}"]
    return [sentence for selector in read for sentence in _selector_problems(selector, known, recorded)]


def _selector_problems(selector: Selector, known: dict[str, Metric], recorded: Collection[str]) -> Iterator[str]:
    if selector.name in recorded:
        return
    metric = known.get(selector.name)
    if metric is None:
        yield f"nobody exposes {selector.name or 'a series without a name'}"
        return
    for label in sorted(selector.labels() - metric.labels):
        yield f"{selector.name} has no label {label}"
    for label, operator, value in selector.matchers:
        if label == "le" and operator == "Equal" and value not in metric.bounds:
            yield f"{selector.name} has no bucket {value}"


def rule_groups(objects: Objects) -> Iterator[tuple[Manifest, tuple[Step, ...], list[dict[str, Any]]]]:
    """Every object with rules of Prometheus: the object, the path to the groups, and the groups."""
    for manifest in objects.of("PrometheusRule"):
        yield manifest, ("spec", "groups"), manifest.at("spec", "groups")
    for manifest, path, content in _files(objects):
        groups = content.get("groups")
        if _maps(groups, "name") and all(_maps(group.get("rules", []), "expr") for group in groups):
            yield manifest, path, groups


def dashboards(objects: Objects) -> Iterator[tuple[Manifest, tuple[Step, ...], dict[str, Any]]]:
    """Every dashboard of Grafana: the object that holds it, the path, and the dashboard."""
    for manifest, path, content in _files(objects):
        panels = content.get("panels")
        if _maps(panels, "title") and all(_maps(panel.get("targets", [])) for panel in panels):
            yield manifest, path, content


def _maps(value: Any, *keys: str) -> TypeGuard[list[dict[str, Any]]]:
    """Return whether it is a list of maps with these keys; another file may have a list of the same name."""
    return isinstance(value, list) and all(isinstance(item, dict) and {*keys} <= item.keys() for item in value)


def _files(objects: Objects) -> Iterator[tuple[Manifest, tuple[Step, ...], dict[str, Any]]]:
    """Every YAML or JSON map in a ConfigMap."""
    for manifest in objects.of("ConfigMap"):
        for name, text in manifest.body.get("data", {}).items():
            content = _content(name, text)
            if isinstance(content, dict):
                yield manifest, ("data", name), content


def _content(name: str, text: str) -> Any:
    """What a file of this name holds; None where its name promises neither JSON nor YAML, or promises too much."""
    try:
        if name.endswith(".json"):
            return json.loads(text)
        return go_yaml.load(text) if name.endswith(".yaml") else None
    except (ValueError, yaml.YAMLError):
        return None


def rules(objects: Objects) -> Iterator[tuple[Expression, dict[str, Any]]]:
    """Every rule of Prometheus, with its expression."""
    for manifest, path, groups in rule_groups(objects):
        for group in groups:
            for rule in group.get("rules", []):
                where = (*path, group["name"], rule.get("alert") or rule.get("record") or "rules")
                yield Expression(manifest, where, str(rule["expr"])), rule


def expressions(objects: Objects) -> Iterator[Expression]:
    """Every PromQL expression in the objects, with the variables of Grafana and prometheus-adapter filled in."""
    for expression, _ in rules(objects):
        yield expression
    for manifest, path, dashboard in dashboards(objects):
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                if "expr" in target:  # else it asks something else than Prometheus
                    yield Expression(manifest, (*path, panel["title"]), without_variables(target["expr"]))
        for variable in dashboard.get("templating", {}).get("list", []):
            found = re.fullmatch(r"label_values\((.*), *\w+\)", str(variable.get("query", "")))
            if found:
                yield Expression(manifest, (*path, variable["name"]), without_variables(found.group(1)))
    for manifest in objects.of("ScaledObject"):
        for index, trigger in enumerate(manifest.at("spec", "triggers")):
            if "query" in trigger["metadata"]:
                yield Expression(manifest, ("spec", "triggers", index), trigger["metadata"]["query"])
    for manifest, path, content in _files(objects):
        lists = (content.get(key) for key in ("rules", "externalRules"))
        for rule in (rule for items in lists if _maps(items, "seriesQuery", "metricsQuery") for rule in items):
            yield Expression(manifest, (*path, "seriesQuery"), rule["seriesQuery"])
            name = rule["seriesQuery"].partition("{")[0]
            filled = {"<<.Series>>": name, "<<.LabelMatchers>>": 'namespace="n"', "<<.GroupBy>>": "namespace, pod"}
            yield Expression(manifest, (*path, "metricsQuery"), _fill(rule["metricsQuery"], filled))


def without_variables(text: str) -> str:
    """Return a query of Grafana as Prometheus would get it, with some value for each variable."""
    return re.sub(r"\$\{?\w+\}?", "x", _fill(text, _GRAFANA))


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def findings(objects: Objects, version: str) -> list[Finding]:
    """Every expression that does not parse, or that reads what neither vLLM nor another exporter nor a rule gives.

    Triggers and files of a user's may read what the user has: there, only names that vLLM would have are checked.
    """
    known = known_metrics(version)
    recorded = {rule["record"] for _, rule in rules(objects) if "record" in rule}
    found = []
    for expression in expressions(objects):
        for problem in problems(expression.text, known, recorded):
            manifest = expression.manifest
            foreign = manifest.kind == "ScaledObject" or manifest.source.endswith(_OF_USERS)
            if not (
                foreign and problem.startswith("nobody exposes ") and not problem.startswith("nobody exposes vllm:")
            ):
                found.append(Finding(expression.manifest, expression.path, f"{problem} in {expression.text}"))
    return found
