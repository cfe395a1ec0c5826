"""The schema is current, strict, within the dialect that both Helm versions enforce, and ships with the chart."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from harness import go_yaml, helm
from harness.helm import CHART
from harness.value_sets import ValueSet

from scripts import schema as generator

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

#: The keys that lead to a value.
KeyPath = tuple[str, ...]

#: Keywords newer than draft-07, which Helm 3.17 skips in silence.
NEWER = {"unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas", "prefixItems", "$defs"}


def nodes(value: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in the schema, with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from nodes(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from nodes(item, f"{path}/{index}")


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference leads to."""
    while "$ref" in node:
        node = SCHEMA["definitions"][node["$ref"].removeprefix("#/definitions/")]
    return node


def closed_maps(values: dict[str, Any], schema: dict[str, Any], path: KeyPath = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the maps in values.yaml whose keys the schema lists."""
    if schema.get("additionalProperties") is not False:
        return
    yield path
    for key, value in values.items():
        if isinstance(value, dict):
            yield from closed_maps(value, resolve(schema["properties"][key]), (*path, key))


def leaves(values: dict[str, Any], schema: dict[str, Any], path: KeyPath = ()) -> Iterator[KeyPath]:
    """Paths of the keys in values.yaml that are not maps with keys of their own."""
    for key, value in values.items():
        node = resolve(schema["properties"][key])
        if isinstance(value, dict) and "properties" in node and node.get("additionalProperties") is False and value:
            yield from leaves(value, node, (*path, key))
        else:
            yield (*path, key)


def with_value(path: KeyPath, value: Any) -> dict[str, Any]:
    """The defaults with one value replaced or added."""
    values = json.loads(json.dumps(DEFAULTS))
    parent = values
    for step in path[:-1]:
        parent = parent.setdefault(step, {})
    parent[path[-1]] = value
    return dict(values)


def test_the_schema_is_what_its_sources_give() -> None:
    assert (CHART / "values.schema.json").read_text(encoding="utf-8") == generator.build(), (
        "run `python -m scripts.schema`"
    )


def test_the_schema_is_a_valid_draft_07_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_nothing_stands_beside_a_reference_and_no_keyword_is_newer_than_draft_07() -> None:
    for path, node in nodes({key: value for key, value in SCHEMA.items() if key != "properties"}):
        assert "$ref" not in node or set(node) == {"$ref"}, path
        assert not NEWER & set(node), path
    for path, node in nodes(SCHEMA["properties"]):
        assert "$ref" not in node or set(node) == {"$ref"}, path


def test_every_reference_stays_inside_the_schema() -> None:
    references = {node["$ref"] for _, node in nodes(SCHEMA) if "$ref" in node}
    assert references == {f"#/definitions/{name}" for name in SCHEMA["definitions"]}


def test_values_yaml_and_the_schema_have_the_same_keys() -> None:
    def compare(values: dict[str, Any], node: dict[str, Any], path: str, only_schema: set[str]) -> None:
        node = resolve(node)
        assert set(values) == set(node["properties"]) - only_schema, path
        for key, value in values.items():
            inner = resolve(node["properties"][key])
            if isinstance(value, dict) and value and inner.get("additionalProperties") is False:
                compare(value, inner, f"{path}.{key}", set())

    # a parent chart gives the first two; the chart has no use for them where it stands alone
    compare(DEFAULTS, SCHEMA, "values.yaml", {"global", "enabled"})


def test_the_defaults_are_valid_and_hold_no_null() -> None:
    VALIDATOR.validate(DEFAULTS)
    assert None not in [value for _, node in nodes(DEFAULTS) for value in node.values()]


@pytest.mark.parametrize("path", list(closed_maps(DEFAULTS, SCHEMA)), ids=lambda path: ".".join(path) or "root")
def test_a_misspelt_key_is_refused_at_every_depth(path: KeyPath) -> None:
    errors = list(VALIDATOR.iter_errors(with_value((*path, "typpo"), "x")))
    assert len(errors) == 1
    assert "typpo" in [*map(str, errors[0].absolute_path), errors[0].message.split("'")[1]]


@pytest.mark.parametrize("path", list(leaves(DEFAULTS, SCHEMA)), ids=".".join)
def test_a_value_of_the_wrong_type_is_refused_for_every_key(path: KeyPath) -> None:
    default = DEFAULTS
    for step in path:
        default = default[step]
    wrong = [["x"], {"x": "y"}] if not isinstance(default, dict | list) else ["x", 1]
    for value in wrong:
        errors = list(VALIDATOR.iter_errors(with_value(path, value)))
        assert errors, f"{value!r} is taken"
        assert tuple(errors[0].absolute_path) == path


def test_helm_itself_acts_on_the_schema_at_the_root_and_below() -> None:
    with pytest.raises(helm.HelmError, match="replikas"):
        helm.render({"replikas": 2})
    with pytest.raises(helm.HelmError, match="portt"):
        helm.render({"server": {"portt": 2}})


def test_the_packaged_chart_holds_the_schema_and_not_its_source(tmp_path: Path) -> None:
    helm.run(["package", str(CHART), "--destination", str(tmp_path)])
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(fileobj=io.BytesIO(package.read_bytes())) as archive:
        names = {Path(name).relative_to(CHART.name).as_posix() for name in archive.getnames()}
    assert "values.schema.json" in names
    assert "values.schema.yaml" not in names


def test_a_value_set_is_valid_and_says_for_whom_it_is(value_set: ValueSet) -> None:
    VALIDATOR.validate(value_set.values())
    first, *rest = value_set.path.read_text(encoding="utf-8").splitlines()
    if value_set.path.parent.name == "values" and value_set.path.parent.parent.name != "render":
        assert first == "# yaml-language-server: $schema=../charts/vllm/values.schema.json"
        assert (value_set.path.parent / first.partition("=")[2]).resolve() == CHART / "values.schema.json"
        assert rest[1].startswith("# For ")
        assert rest[2].startswith("# Needs ")
