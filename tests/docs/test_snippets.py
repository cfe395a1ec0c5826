"""What the documentation shows works: values render, objects are valid, and make and vLLM know what they are asked."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from ci.common import ROOT
from scripts.docs import snippets
from scripts.docs.snippets import Command, Snippet
from vllm_chart.chart import CHART
from vllm_chart.invariants import custom_resources, kubernetes_api, promql
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.objects import Manifest, Objects

SNIPPETS = snippets.every_snippet()
COMMANDS = snippets.every_command()
SHELL = ("sh", "bash", "shell")

SCHEMA: dict[str, Any] = go_yaml.load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))
KINDS = "chat/completions|completions|embeddings|score|rerank|models|load_lora_adapter|unload_lora_adapter"


def chosen(found: Iterable[Snippet]) -> list[Any]:
    return [pytest.param(item, id=str(item)) for item in found]


def test_every_block_is_tested_or_says_why_not() -> None:
    unknown = [
        f"{snippet}: ```{snippet.language} {snippet.mark}"
        for snippet in SNIPPETS
        if not (
            (snippet.language in SHELL and not snippet.mark)
            or (snippet.language == "yaml" and snippet.mark in ("", "refused", "manifest", "part-of", "subchart"))
            or (snippet.language == "promql" and not snippet.mark)
            or not snippet.language  # what a program prints; the page that `make docs` makes of all blocks lists it
            or (snippet.mark == "untested:" and len(snippet.rest) > 10)
        )
    ]
    assert not unknown, "say what a block is behind its fence, as scripts/docs/snippets.py explains"


@pytest.mark.parametrize("snippet", chosen(s for s in SNIPPETS if s.is_values))
def test_values_render_and_are_valid(snippet: Snippet) -> None:
    values = go_yaml.load(snippet.text)
    assert set(values) <= set(SCHEMA["properties"]), "a block of YAML without a mark is values of the chart"
    rendered = helm.render(values, release="llama", namespace="llm")
    known = Objects([m for m in rendered.objects if not str(m.body["apiVersion"]).startswith("networking.gke.io/")])
    assert not kubernetes_api.findings(known, kubernetes_api.supported()[-1])


@pytest.mark.parametrize("snippet", chosen(s for s in SNIPPETS if s.mark == "refused"))
def test_what_is_called_refused_is_refused_by_that_check(snippet: Snippet) -> None:
    with pytest.raises(helm.HelmError) as refusal:
        helm.render(go_yaml.load(snippet.text), release="llama", namespace="llm")
    name = snippet.rest.removeprefix("check:")
    wanted = f"[check {name}]" if snippet.rest.startswith("check:") else name
    assert wanted in refusal.value.text


@pytest.mark.parametrize("snippet", chosen(s for s in SNIPPETS if s.mark in ("manifest", "part-of")))
def test_objects_are_valid_and_values_in_them_render(snippet: Snippet) -> None:
    for body in yaml.safe_load_all(snippet.text):
        if snippet.mark == "part-of":
            (schema,) = custom_resources.schemas(snippet.rest).values()
            errors = custom_resources.Validator({**schema, "required": []}).iter_errors(body)
            assert not [e.message for e in errors if e.validator != "required"]
            continue
        if body["apiVersion"] != "kustomize.config.k8s.io/v1beta1":  # a file of Kustomize's, no object of a cluster
            objects = Objects([Manifest(str(snippet), body)])
            assert not kubernetes_api.findings(objects, kubernetes_api.supported()[-1])
        for values in values_inside(body):
            helm.render(values, release="llama", namespace="llm")


@pytest.mark.parametrize("snippet", chosen(s for s in SNIPPETS if s.mark == "subchart"))
def test_values_of_each_use_in_another_chart_render(snippet: Snippet) -> None:
    chart, values = yaml.safe_load_all(snippet.text)
    uses = {use.get("alias", use["name"]): use for use in chart["dependencies"]}
    shared = {name: values.pop(name) for name in ("global",) if name in values}
    assert values.keys() == uses.keys()
    for name, use in uses.items():
        assert use["name"] == "vllm"
        assert use["condition"] == f"{name}.enabled"
        helm.render(values[name] | shared, release="llama", namespace="llm")


def values_inside(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chart's values in an object of Argo CD, Flux or Kustomize."""
    spec = body.get("spec", {})
    if body["kind"] == "Application":
        sources = spec.get("sources") or [spec["source"]]
        return [source["helm"]["valuesObject"] for source in sources if "valuesObject" in source.get("helm", {})]
    if body["kind"] == "HelmRelease":
        return [spec["values"]]
    return [chart["valuesInline"] for chart in body.get("helmCharts", []) if "valuesInline" in chart]


@pytest.mark.parametrize("snippet", chosen(s for s in SNIPPETS if s.language == "promql" and not s.mark))
def test_queries_parse_and_read_metrics_that_exist(snippet: Snippet) -> None:
    assert list(promql.selectors(snippet.text))


@pytest.mark.parametrize("command", [pytest.param(c, id=f"{c.snippet}: {c}") for c in COMMANDS if c.program == "make"])
def test_make_has_every_target_and_variable(command: Command) -> None:
    for word in command.words[1:]:
        name, given, _ = word.partition("=")
        assert name in (snippets.make_variables() if given else snippets.make_targets()), word


@pytest.mark.parametrize("command", [pytest.param(c, id=f"{c.snippet}") for c in COMMANDS if c.program == "curl"])
def test_curl_asks_a_path_that_vllm_has_with_a_body_that_is_json(command: Command) -> None:
    assert [word for word in command.words if re.search(rf"/(v1/({KINDS})|health|metrics|version)$", word)]
    if "-d" in command.words:
        assert json.loads(command.words[command.words.index("-d") + 1])


def test_every_other_program_is_known_with_the_reason_why_it_is_not_run() -> None:
    tested = {"make", "helm", "kubectl", "curl", "vllm-chart"}
    assert not {f"{c.snippet}: {c.program}" for c in COMMANDS if c.program not in tested | set(snippets.PARSED_ONLY)}


@functools.cache
def targets_in_text() -> frozenset[tuple[str, str]]:
    found = set()
    for page in snippets.pages():
        for words in re.findall(r"`make ([a-z0-9-]+)(?: [^`]*)?`", page.read_text(encoding="utf-8")):
            found.add((page.relative_to(ROOT).as_posix(), words))
    return frozenset(found)


def test_make_targets_that_are_named_in_sentences_exist() -> None:
    assert not {(page, name) for page, name in targets_in_text() if name not in snippets.make_targets()}


def test_values_that_are_named_in_sentences_exist() -> None:
    wrong = []
    for page in snippets.pages():
        for path in re.findall(rf"`((?:{'|'.join(SCHEMA['properties'])})(?:\.[\w-]+)+)[`:=]", page.read_text()):
            if not _exists(path):
                wrong.append(f"{page.relative_to(ROOT)}: {path}")
    assert not wrong


def _exists(path: str) -> bool:
    node: dict[str, Any] = SCHEMA
    for step in path.split("."):
        while "$ref" in node:
            node = SCHEMA["definitions"][node["$ref"].removeprefix("#/definitions/")]
        # flags, types of Kubernetes and names of the user's end the chart's own
        if "$flags" in node or "$k8s" in node or "properties" not in node:
            return True
        if step not in node["properties"] and ("patternProperties" in node or node.get("additionalProperties")):
            return True
        if step not in node["properties"]:
            return False
        node = node["properties"][step]
    return True
