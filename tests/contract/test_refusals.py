"""Helm refuses every typo and every wrong type, at every depth of the values, and says where.

The paths are read out of the schema; none is written down here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.contract.conftest import Refuse, Steps
from tests.lib.schema import SCHEMA, resolve
from vllm_chart.chart import CHART, DATA
from vllm_chart.render import go_yaml

pytestmark = pytest.mark.every_helm

DEFAULTS: dict[str, Any] = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))

FLAG_NOTES: dict[str, Any] = go_yaml.load((DATA / "flags.yaml").read_text(encoding="utf-8"))

#: One value of each type, that no enum holds.
EXAMPLES: dict[str, Any] = {
    "object": {"wrong": "type"},
    "array": ["wrong"],
    "boolean": True,
    "number": 7.5,
    "string": "wrong",
}


def walk(node: dict[str, Any], path: Steps = ()) -> Iterator[tuple[Steps, dict[str, Any]]]:
    """Every value that the schema describes, with one key that stands for all where a map takes any."""
    node = resolve(node)
    yield path, node
    for key, inner in node.get("properties", {}).items():
        yield from walk(inner, (*path, key))
    for pattern, inner in node.get("patternProperties", {}).items():
        for key in (key for key in ("ANY", "/any", "x-any") if re.search(pattern, key)):
            yield from walk(inner, (*path, key))
    # a map in place of a list, and a list in place of a map, are only there to be refused: see test_mistakes.py
    if isinstance(node.get("additionalProperties"), dict) and node["type"][0] != "array":
        yield from walk(node["additionalProperties"], (*path, "any/other"))
    if "items" in node and "const" not in node["items"]:
        yield from walk(node["items"], (*path, 0))


NODES = dict(walk(SCHEMA))


def types(node: dict[str, Any]) -> set[str]:
    """The types that a schema takes."""
    given = node.get("type", [])
    return {given} if isinstance(given, str) else set(given)


def wrong(node: dict[str, Any]) -> Any:
    """A value that the schema must refuse for its type, or for its not being listed."""
    taken = types(node) | ({"number"} if "integer" in types(node) else set())
    return next(example for name, example in EXAMPLES.items() if name not in taken)


def open_to_any_key(node: dict[str, Any]) -> bool:
    """True if the schema accepts any map."""
    return node.get("additionalProperties", True) is True


def json_flags() -> set[Steps]:
    """The flags that take a map, which vLLM reads, and the items of those that take several."""
    flags = [(path, node) for path, node in NODES.items() if path[:2] == ("engine", "args") and len(path) > 2]
    return {path for path, node in flags if "object" in types(node)}


def tree(leaves: Iterable[tuple[Steps, Any]]) -> dict[str, Any]:
    """One map that holds every value at its path."""
    root: dict[Any, Any] = {}
    for path, value in leaves:
        at = root
        for step in path[:-1]:
            at = at.setdefault(step, {})
        at[path[-1]] = value
    return dict(_with_lists(root))


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() == {0}:
        return [_with_lists(value[0])]
    return {key: _with_lists(item) for key, item in value.items()}


def test_only_what_is_not_the_charts_takes_any_key_or_any_type() -> None:
    open_maps = {path for path, node in NODES.items() if "object" in types(node) and open_to_any_key(node)}
    open_maps -= {path for path in open_maps if path[-1:] == ("fieldsV1",)}  # free in Kubernetes, too
    untyped = {path for path, node in NODES.items() if not node.keys() & {"type", "enum", "const"}}
    assert open_maps == {("global",), ("extraObjects", "any/other"), ("warmup", "request", "body"), *json_flags()}
    assert untyped == {("x-any",)}


def test_the_walk_meets_every_key_of_values_yaml() -> None:
    def paths(values: dict[str, Any], path: Steps = ()) -> Iterator[Steps]:
        for key, value in values.items():
            yield (*path, key)
            if isinstance(value, dict):
                yield from paths(value, (*path, key))

    assert set(paths(DEFAULTS)) <= set(NODES)


def test_a_misspelt_key_is_refused_at_every_depth(refuse: Refuse) -> None:
    closed = [path for path, node in NODES.items() if node.get("additionalProperties") is False]
    complaints = refuse(tree(((*path, "typpo"), "x") for path in closed))
    assert not [path for path in closed if "typpo" not in complaints.about(path)]


@pytest.mark.parametrize("depth", range(1, max(map(len, NODES)) + 1))
def test_a_value_of_the_wrong_type_is_refused_at_every_depth(depth: int, refuse: Refuse) -> None:
    nodes = {path: node for path, node in NODES.items() if len(path) == depth and path != ("x-any",)}
    complaints = refuse(tree((path, wrong(node)) for path, node in nodes.items()))
    assert not [path for path in nodes if not complaints.about(path)]


def test_a_complaint_names_no_more_than_what_is_wrong(refuse: Refuse) -> None:
    complaints = refuse({"replicas": "two", "server": {"portt": 1}, "service": {"port": 80}})
    assert sorted(path for path in NODES if complaints.about(path)) == [("replicas",), ("server",)]


# -- flags

FLAGS = [
    path[2] for path, node in NODES.items() if path[:2] == ("engine", "args") and len(path) == 3 and "const" not in node
]


def test_a_flag_spelt_another_way_is_refused_with_the_way_to_write_it(refuse: Refuse) -> None:
    remedies = {}
    for flag in map(str, FLAGS):
        remedies[f"--{flag}"] = "write flags without leading dashes"
        remedies[f"no-{flag}"] = 'write the flag without "no-" and the value false'
        remedies[f"{flag}.key"] = "write the part before the dot as the flag and its value as a map"
        remedies[f"{flag}-typpo"] = "check the spelling, or pass it in engine.extraArgs"
        if "-" in flag:
            remedies[flag.replace("-", "_")] = "write flags with dashes"
            remedies[re.sub("-([a-z])", lambda found: found[1].upper(), flag)] = "write flags in lower case with dashes"
    complaints = refuse({"engine": {"args": dict.fromkeys(remedies, True)}})
    assert not [name for name, remedy in remedies.items() if remedy not in complaints.about(("engine", "args", name))]


def test_a_flag_that_the_chart_sets_or_vllm_lost_is_refused_with_what_to_write_instead(refuse: Refuse) -> None:
    remedies = {**FLAG_NOTES["owned"], **FLAG_NOTES["removed"]}
    complaints = refuse({"engine": {"args": dict.fromkeys(remedies, True)}})
    assert not [name for name, remedy in remedies.items() if remedy not in complaints.about(("engine", "args", name))]


# -- keys of other charts

#: What is said of keys that users of other charts, of vLLM and of Kubernetes expect, by their place and pattern.
HINTS = {
    (path, pattern): inner["const"]
    for path, node in NODES.items()
    for pattern, inner in node.get("patternProperties", {}).items()
    if "const" in inner and path != ("engine", "args")
}


def test_a_hint_hides_no_key_and_names_keys_that_exist() -> None:
    for (path, pattern), hint in HINTS.items():
        assert not [key for key in NODES[path]["properties"] if re.search(pattern, key)], pattern
        for key in re.findall(r"\b[a-z]\w*(?:\.\w+)+", hint.replace("e.g.", "")):
            assert tuple(key.split(".")) in NODES, (pattern, key)


def test_a_key_of_another_chart_is_refused_with_the_key_to_write(refuse: Refuse) -> None:
    expected = {
        (*path, key): hint
        for (path, pattern), hint in HINTS.items()
        for key in [*re.findall(r"\w+", pattern), "max-model-len", "nvidia.com/gpu"]
        if re.search(pattern, key)
    }
    assert {path[:-1] for path in expected} == {path for path, _ in HINTS}
    complaints = refuse(tree((path, 1) for path in expected))
    assert not [path for path, hint in expected.items() if hint not in complaints.about(path)]


def test_a_source_of_environment_is_missed_its_name_as_an_api_server_does(refuse: Refuse) -> None:
    sources = {"ONE": "secretKeyRef", "TWO": "configMapKeyRef"}
    env = {name: {"valueFrom": {source: {"key": "k"}}} for name, source in sources.items()}
    env_from: list[dict[str, Any]] = [{"secretRef": {"optional": True}}, {"configMapRef": {}}]
    complaints = refuse({"engine": {"env": env, "envFrom": env_from}})
    for name, source in sources.items():
        assert complaints.misses(("engine", "env", name, "valueFrom", source, "name")), complaints.text
    assert complaints.misses(("engine", "envFrom", 0, "secretRef", "name")), complaints.text
    assert complaints.misses(("engine", "envFrom", 1, "configMapRef", "name")), complaints.text
