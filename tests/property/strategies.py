"""Makes values that the chart's schema takes, out of the schema itself, with texts that YAML likes to misread.

Left out is what only adds to the user's own risk: the remedies that the schema spells as `const`, null, open maps, and
two items of a list that have one key to Kubernetes, of which a schema can say nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import jsonschema
from hypothesis import strategies as st

from tests.lib.schema import SCHEMA, Schema, resolve
from vllm_chart.invariants.references import CONTAINER_LISTS, POD_LISTS

Strategy = st.SearchStrategy[Any]

VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

#: Texts that are something else to YAML where they stand without quotation marks, or break it.
HOSTILE = ["yes", "no", "on", "y", "null", "~", "true", "123", "1e3", "0x1f", "0o17", "22:22", "2026-11-22", "1_000"]
HOSTILE += [
    ".inf",
    "=",
    "a: b",
    "a #b",
    "- a",
    "#a",
    "{a}",
    "[a]",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "'",
    '"',
]
HOSTILE += [" a", "a ", "a\nb", "a\n---\nb", "é", "\U0001f600", "{{ a }}", "$a", "\\", "a'b\"c", "--a", "-"]

#: What a pattern may take from: YAML itself refuses control characters.
LETTERS = st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"])

#: Depth below the root from which a map holds only what it must.
DEPTH = 5

#: What makes an item's key in lists that Kubernetes takes for maps.
KEYS = sorted({*POD_LISTS.values(), *CONTAINER_LISTS.values()}, key=lambda keys: (-len(keys), keys))

#: Keys whose content is a pod's, or anything: the schema can't promise that Kubernetes takes it.
FREE = {"podSpec", "extraObjects", "extraVolumes", "extraVolumeMounts", "initContainers", "global", "enabled"}
#: The same deeper down.
FREE_WITHIN = {"leaderPodSpec", "workerPodSpec"}


def types(node: Schema) -> list[str]:
    """Return the types of which a schema takes values, without null and without those that it lists to refuse."""
    given = node.get("type", [])
    names = [given] if isinstance(given, str) else list(given)
    refused = {
        "array": "const" in node.get("items", {}),
        "object": "minProperties" in node and "const" in (node.get("additionalProperties") or {}),
        "string": str(node.get("pattern", "")).endswith(")^"),
        "null": True,
    }
    # a map is the better way to write what vLLM reads as JSON
    json_text = "object" in names and "array" not in names and str(node.get("pattern", "")).endswith(r"^\s*\{")
    return [name for name in names if not refused.get(name) and not (name == "string" and json_text)]


def values_of(node: Schema, depth: int = 0) -> Strategy | None:
    """Return a strategy for what a schema takes; None where that is nothing but a remedy."""
    node = resolve(node)
    if "const" in node:
        return None
    if "enum" in node:
        return st.sampled_from([item for item in node["enum"] if item is not None])
    makers: dict[str, Callable[[Schema, int], Strategy | None]] = {
        "string": _text,
        "integer": _integer,
        "number": _number,
        "boolean": lambda _node, _depth: st.booleans(),
        "array": _list,
        "object": _map,
    }
    made = [makers[name](node, depth) for name in types(node)]
    found = [strategy for strategy in made if strategy is not None]
    return st.one_of(found) if found else None


def _text(node: Schema, _depth: int) -> Strategy:
    pattern = re.sub(r"^\((?:write|null)[^|]*\)\^\|", "", node.get("pattern", ""))
    if pattern:
        return st.from_regex(re.compile(f"(?:{pattern})\\Z", re.ASCII), fullmatch=True, alphabet=LETTERS).filter(
            lambda text: "\n" not in text and len(text) < 40
        )
    return st.one_of(st.sampled_from(HOSTILE), st.from_regex(r"[a-z]{1,8}", fullmatch=True, alphabet=LETTERS))


def _integer(node: Schema, _depth: int) -> Strategy:
    low = node.get("minimum", 0)
    return st.one_of(
        st.integers(low, min(node.get("maximum", low + 8), low + 8)),
        st.just(min(1048576, node.get("maximum", 1048576))),
    )


def _number(node: Schema, _depth: int) -> Strategy:
    low, high = node.get("minimum", 0), node.get("maximum", 1)
    return st.sampled_from([low, high, (low + high) / 2])


def _list(node: Schema, depth: int) -> Strategy | None:
    items = values_of(node.get("items", {}), depth + 1)
    if items is None:
        return None
    low = node.get("minItems", 0)
    properties = resolve(node.get("items", {})).get("properties", {})
    keys = next((keys for keys in KEYS if set(keys) <= properties.keys()), None)
    unique = (lambda item: tuple(item.get(key) for key in keys)) if keys else None
    return st.lists(items, min_size=low, max_size=2 if depth < DEPTH else low, unique_by=unique)


def _map(node: Schema, depth: int) -> Strategy:
    required = node.get("required", [])
    known = {key: values_of(inner, depth + 1) for key, inner in _affordable(node, depth).items()}
    properties = {key: strategy for key, strategy in known.items() if strategy is not None}
    fixed = {key: properties[key] for key in required if key in properties}
    parts: list[Strategy] = [st.fixed_dictionaries(fixed)]
    optional = sorted(properties.keys() - fixed.keys())
    if optional:
        chosen = st.lists(st.sampled_from(optional), max_size=3, unique=True)
        parts.append(chosen.flatmap(lambda keys: st.fixed_dictionaries({key: properties[key] for key in keys})))
    for keys, inner in _any_keys(node):
        values = values_of(inner, depth + 1) if depth < DEPTH else None
        if values is not None:
            parts.append(st.dictionaries(keys, values, max_size=2))
    return st.tuples(*parts).map(lambda made: {key: value for part in reversed(made) for key, value in part.items()})


def _affordable(node: Schema, depth: int) -> Schema:
    """Return the properties of a map, and deep down only those that it must have."""
    properties = {key: inner for key, inner in node.get("properties", {}).items() if key not in FREE_WITHIN}
    if depth < DEPTH:
        return properties
    return {key: inner for key, inner in properties.items() if key in node.get("required", [])}


def _any_keys(node: Schema) -> list[tuple[Strategy, Schema]]:
    """Return strategies for the names in a map that takes any, with the schema of what they name."""
    found: list[tuple[Strategy, Schema]] = []
    for pattern, inner in node.get("patternProperties", {}).items():
        if "const" not in inner and inner.keys() & {"type", "enum", "$ref"}:
            found.append((st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True, alphabet=LETTERS), inner))
    more = node.get("additionalProperties")
    if isinstance(more, dict) and "const" not in more and "properties" not in node:
        found.append((st.from_regex(r"[a-z]{1,8}", fullmatch=True, alphabet=LETTERS), more))
    return found


@functools.cache
def part(key: str) -> Strategy:
    """Return a strategy for what stands below a key of the root."""
    found = values_of(SCHEMA["properties"][key], 1)
    assert found is not None, key
    return found


#: Places of a model, as checks want them; the schema takes any text.
URIS = ["hf://team/model", "oci://registry.example/a/b:1.0", "pvc://claim/folder", "s3://bucket/a", "gs://bucket/a"]
URIS += ["file:///models/a"]

#: Checks that most values made at random fail, and that don't keep the rest from being right.
LAX = ["acceleratorCount", "autoscalers", "exposedPaths", "hostMemory", "imageTag", "metricsOnce", "quantization"]
LAX += ["scaleToZero", "serviceType"]


def values(keys: frozenset[str] = frozenset(SCHEMA["properties"]) - FREE) -> Strategy:
    """Return a strategy for values with a few of these keys of the root, which the whole schema takes."""
    chosen = st.lists(st.sampled_from(sorted(keys)), min_size=1, max_size=4, unique=True)
    made = chosen.flatmap(lambda names: st.fixed_dictionaries({name: part(name) for name in names}))
    return st.tuples(made, st.sampled_from(URIS), st.sampled_from([1, 2]), st.booleans()).map(_likely).filter(is_valid)


def _likely(made: tuple[Schema, str, int, bool]) -> Schema:
    """Change values so that checks across keys have a chance to pass; half of them are a server of two nodes."""
    values, uri, nodes, lax = made
    if "model" in values:
        values = {**values, "model": {**values["model"], "uri": uri}}
    if "parallelism" in values or nodes > 1:
        given = values.get("parallelism", {})
        # sizes that nodes divide
        values = {**values, "parallelism": {**given, "nodes": nodes, "tensor": given.get("tensor", 1) * nodes}}
    if values.get("engine", {}).get("extraArgs"):  # which go to vLLM as they are
        values = {**values, "engine": {**values["engine"], "extraArgs": ["--seed", "1"]}}
    if lax:
        values = {**values, "checks": {"disabled": dict.fromkeys(LAX, True)}}
    return values


def is_valid(made: Schema) -> bool:
    """True if the schema accepts values; Helm reports missing keys only after it merges the defaults."""
    return not [error for error in VALIDATOR.iter_errors(made) if error.schema_path[0] != "else"]


def at(path: tuple[str | int, ...]) -> Schema:
    """Return the schema of what stands at a path; empty where the schema says nothing of it."""
    node = SCHEMA
    for step in path:
        node = resolve(node)
        patterns = [
            inner for pattern, inner in node.get("patternProperties", {}).items() if re.search(pattern, str(step))
        ]
        more = node.get("items" if isinstance(step, int) else "additionalProperties")
        found = node.get("properties", {}).get(step) or next(iter(patterns), more)
        if not isinstance(found, dict):
            return {}
        node = found
    return resolve(node)
