"""The schema is strict, within the dialect that both Helm versions enforce, and ships with the chart."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ci.common import ROOT
from scripts.generate import schema as generator
from scripts.generate import sources
from scripts.value_sets import ValueSet
from tests.lib.schema import SCHEMA
from vllm_chart.chart import CHART
from vllm_chart.invariants import custom_resources
from vllm_chart.render import go_yaml, helm

EDITOR_SCHEMA = json.loads((CHART / "editor.schema.json").read_text(encoding="utf-8"))
SOURCE = go_yaml.load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))
DEFAULTS = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
KEYS = sources.keys()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
EDITOR_VALIDATOR = jsonschema.Draft7Validator(EDITOR_SCHEMA)

#: Keywords newer than draft-07, which Helm 3.17 skips in silence, and one for which Helm 4 names a wrong path.
UNFIT = {"unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas", "prefixItems", "$defs"}
UNFIT |= {"propertyNames"}


def nodes(value: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in the schema, with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from nodes(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from nodes(item, f"{path}/{index}")


def bare(node: Any) -> Any:
    """A schema without what only editors read: descriptions, and the map that holds one beside a reference."""
    if isinstance(node, list):
        return [bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: bare(value) for key, value in node.items() if key != "description" or not isinstance(value, str)}
    return kept["allOf"][0] if kept.keys() == {"allOf"} else kept


def test_editors_get_the_schema_of_helm_but_may_leave_out_any_key() -> None:
    assert bare(EDITOR_SCHEMA) == {key: value for key, value in SCHEMA.items() if key not in ("if", "else")}
    flags = EDITOR_SCHEMA["properties"]["engine"]["properties"]["args"]["properties"]
    silent = [name for name, value in flags.items() if not value.keys() & {"description", "const"}]
    assert not silent, f"flags without help: {silent}"


@pytest.mark.parametrize("path", [path for path, key in KEYS.items() if key.description], ids=".".join)
def test_description_of_key_stands_in_values_yaml_alone_and_reaches_editors(path: sources.KeyPath) -> None:
    assert generator.at(EDITOR_SCHEMA, path)["description"] == KEYS[path].description
    source = generator.resolve(SOURCE, generator.at(SOURCE, path))
    assert "description" not in source, (
        f"{'.'.join(path)} has a description in values.schema.yaml, too: keep the comment in values.yaml"
    )


def test_the_schema_is_a_valid_draft_07_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_nothing_stands_beside_a_reference_and_no_keyword_is_newer_than_draft_07() -> None:
    for path, node in nodes(SCHEMA):
        assert "$ref" not in node or set(node) == {"$ref"}, path
        assert not UNFIT & set(node), path


def test_every_reference_leads_to_a_schema_and_every_definition_is_referred_to() -> None:
    references = {node["$ref"] for _, node in nodes(SCHEMA) if "$ref" in node}
    assert references <= {path for path, _ in nodes(SCHEMA)}
    assert {f"#/definitions/{name}" for name in SCHEMA["definitions"]} <= references


def test_values_yaml_and_the_schema_have_the_same_keys() -> None:
    def compare(values: dict[str, Any], node: dict[str, Any], path: str, only_schema: set[str]) -> None:
        if "$ref" in node:
            node = SOURCE["definitions"][node["$ref"].removeprefix("#/definitions/")]
        if values and "properties" in node:
            known = set(node["properties"]) - only_schema
            for file, lacking in (("values.schema.yaml", set(values) - known), ("values.yaml", known - set(values))):
                names = [f"{path}{key}" for key in sorted(lacking)]
                assert not names, f"add to charts/vllm/{file}, or remove from the other: {names}"
            for key, value in values.items():
                compare(value, node["properties"][key], f"{path}{key}.", set()) if isinstance(value, dict) else None

    # a parent chart gives the first two; the chart has no use for them where it stands alone
    compare(DEFAULTS, SOURCE, "", {"global", "enabled"})


def test_the_defaults_are_valid_and_hold_no_null() -> None:
    VALIDATOR.validate(DEFAULTS)
    assert None not in [value for _, node in nodes(DEFAULTS) for value in node.values()]


def test_the_packaged_chart_holds_the_schema_and_the_readme_and_is_small(tmp_path: Path) -> None:
    helm.call(["package", str(CHART), "--destination", str(tmp_path)])
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(fileobj=io.BytesIO(package.read_bytes())) as archive:
        names = {Path(name).relative_to(CHART.name).as_posix() for name in archive.getnames()}
    assert {"values.schema.json", "README.md"} < names
    assert not names & {"values.schema.yaml", "editor.schema.json"}
    assert {"files/data/accelerators.yaml", "files/data/flags.yaml"} < names
    assert not [name for name in names if name.startswith("files/data/vllm-")]
    assert package.stat().st_size < 150_000


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "values").glob("*.yaml")))
def test_what_helm_keeps_of_a_release_fits_its_secret_well(name: str) -> None:
    if helm.version()[0] == 3:
        pytest.skip("Helm 3 asks a cluster before it tells what it would keep")
    # each of a release's ten kept revisions is a Secret, of which Kubernetes takes 1 MiB
    assert helm.release_size(ROOT / "values" / f"{name}.yaml") < 250_000


def test_a_type_of_kubernetes_is_named_by_the_end_of_its_name_if_that_is_enough() -> None:
    types = generator.KubernetesTypes()
    assert types.type("Volume")["required"] == ["name"]
    assert "name" not in types.type("Volume without name")["properties"]
    assert "required" not in types.type("Volume without name")
    assert types.type("VolumeMount without mountPath")["required"] == ["name"]
    with pytest.raises(ValueError, match="0 types Afinity"):
        types.type("Afinity")
    with pytest.raises(ValueError, match=r"4 types ResourceClaim: .*core\.v1"):
        types.type("ResourceClaim")


def test_an_overlay_of_a_pod_may_leave_out_what_a_pod_must_have_but_not_a_containers_name() -> None:
    pod = VALIDATOR.evolve(schema=SCHEMA["properties"]["podSpec"])
    assert pod.is_valid({"containers": [{"name": "vllm", "livenessProbe": {"httpGet": {"scheme": "HTTPS"}}}]})
    assert pod.is_valid({"containers": [{"name": "vllm", "volumeMounts": [{"mountPath": "/a", "readOnly": True}]}]})
    assert pod.is_valid(
        {"nodeName": None, "topologySpreadConstraints": [{"topologyKey": "a", "whenUnsatisfiable": "b"}]}
    )
    assert not pod.is_valid({"containers": [{"image": "a"}]})
    assert not pod.is_valid({"containers": [{"name": "vllm", "volumeMounts": [{"name": "tmp"}]}]})


def test_amounts_and_ports_are_taken_as_numbers_and_as_texts() -> None:
    limits = VALIDATOR.evolve(schema=SCHEMA["properties"]["resources"])
    for right in (1, 1.5, "500m", "16Gi", "1e3", ".5", "4"):
        assert limits.is_valid({"limits": {"cpu": right}}), right
    for wrong in ("16GB", "16 Gi", "", "k", True):
        assert not limits.is_valid({"limits": {"cpu": wrong}}), wrong


@pytest.mark.parametrize("kind", ["serviceMonitor", "podMonitor"])
def test_a_time_between_scrapes_is_taken_if_the_prometheus_operator_takes_it(kind: str) -> None:
    ours = VALIDATOR.evolve(schema=SCHEMA["properties"]["metrics"]["properties"][kind]["properties"]["interval"])
    spec = custom_resources.schemas(kind[0].upper() + kind[1:])["monitoring.coreos.com/v1"]["properties"]["spec"]
    endpoints = {"serviceMonitor": "endpoints", "podMonitor": "podMetricsEndpoints"}[kind]
    theirs = ours.evolve(schema=spec["properties"][endpoints]["items"]["properties"]["interval"])
    for interval in ("30s", "1m30s", "500ms", "1d", "1w2d", "30s1m", "1m1m", "30", "30 s", "1.5m", "-1s", "1M"):
        assert ours.is_valid(interval) == theirs.is_valid(interval), interval
    assert not ours.is_valid("")


def test_a_value_set_is_valid_and_says_for_whom_it_is(value_set: ValueSet) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in EDITOR_VALIDATOR.iter_errors(value_set.values())]
    assert not errors, "correct it, or add a new key to values.yaml and values.schema.yaml, and run `make generate`"
    first, *rest = value_set.path.read_text(encoding="utf-8").splitlines()
    if value_set.path.parent.name == "values" and value_set.path.parent.parent.name != "render":
        assert first == "# yaml-language-server: $schema=../charts/vllm/editor.schema.json"
        assert (value_set.path.parent / first.partition("=")[2]).resolve() == CHART / "editor.schema.json"
        assert rest[1].startswith("# For ")
        assert rest[2].startswith("# Needs ")
