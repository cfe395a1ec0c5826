"""The tools of the library do what the tests rely on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.generate import registry, snapshots
from scripts.value_sets import overlooked, unset
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.objects import MissingPathError, Objects

# -- YAML


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True),
        ("On", True),
        ("no", False),
        ("1e3", 1000.0),
        ("1e+06", 1000000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("0o14", 12),
        ("014", 12),
        ("0", 0),
        ("08", 8.0),
        ("2026-11-22", "2026-11-22"),
        ("1:30", "1:30"),
        ("22:22", "22:22"),
        ("1.2.3", "1.2.3"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'y'", "y"),
        ("yep", "yep"),
        ("1e", "1e"),
    ],
)
def test_yaml_is_read_as_go_reads_it(text: str, value: Any) -> None:
    found = go_yaml.load(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["a: 1\na: 2", "b: {a: 1, a: 2}", "- a: 1\n  'a': 2"])
def test_a_key_given_twice_is_an_error(text: str) -> None:
    with pytest.raises(go_yaml.DuplicateKeyError, match="key given twice: a"):
        go_yaml.load(text)


def test_anchors_and_merges_are_no_repetition() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}"
    assert go_yaml.load(text)["b"] == {"x": 3, True: 2}


# -- objects


def test_a_missing_parent_is_never_taken_for_a_missing_value() -> None:
    service = helm.render({}).objects.one("Service")
    assert service.lacks("spec", "clusterIP")
    assert not service.lacks("spec", "type")
    with pytest.raises(MissingPathError, match="the object has no 'sepc'"):
        service.lacks("sepc", "clusterIP")
    with pytest.raises(MissingPathError, match=r"spec\.ports has no 'https'"):
        service.at("spec", "ports", "https", "port")
    with pytest.raises(MissingPathError, match=r"spec\.type has no 'x'"):
        service.at("spec", "type", "x")


def test_an_object_that_is_not_there_or_not_alone_is_an_error() -> None:
    objects = helm.render({}).objects
    with pytest.raises(MissingPathError, match="0 objects are Ingress; rendered: "):
        objects.one("Ingress")
    with pytest.raises(MissingPathError, match="0 objects are Service/x"):
        objects.one("Service", "x")
    with pytest.raises(MissingPathError, match="2 objects are Service"):
        Objects([*objects, *objects]).one("Service")


# -- Helm


def broken_chart(folder: Path, name: str, old: str, new: str) -> Path:
    """A copy of the chart with one text replaced in one file."""
    chart = folder / CHART.name
    shutil.copytree(CHART, chart)
    text = (chart / name).read_text(encoding="utf-8")
    assert old in text
    (chart / name).write_text(text.replace(old, new), encoding="utf-8")
    return chart


def test_a_warning_of_helm_is_an_error(tmp_path: Path) -> None:
    chart = broken_chart(tmp_path, "values.yaml", "affinity: {}", 'affinity: ""')
    with pytest.raises(helm.HelmError, match=r"warning: .*vllm\.affinity"):
        helm.render({"affinity": {"podAffinity": {}}}, chart=chart)


def test_a_changed_chart_is_rendered_anew(tmp_path: Path) -> None:
    chart = broken_chart(tmp_path, "templates/network/service.yaml", "protocol: TCP", "protocol: TCP")
    before = helm.render({}, chart=chart)
    path = chart / "templates" / "network" / "service.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("protocol: TCP", "protocol: UDP"), encoding="utf-8")
    after = helm.render({}, chart=chart).objects.one("Service")
    assert before.objects.one("Service").at("spec", "ports", "http", "protocol") == "TCP"
    assert after.at("spec", "ports", "http", "protocol") == "UDP"


def test_a_changed_values_file_is_rendered_anew(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    for replicas in (2, 3):
        values.write_text(f"replicas: {replicas}", encoding="utf-8")
        assert helm.render(values).objects.one("Deployment").at("spec", "replicas") == replicas


def test_a_repeated_key_in_a_render_is_an_error(tmp_path: Path) -> None:
    chart = broken_chart(tmp_path, "templates/network/service.yaml", "protocol: TCP", "protocol: TCP\n      port: 1")
    with pytest.raises((yaml.YAMLError, helm.HelmError)):
        helm.render({}, chart=chart)


def test_a_refusal_names_the_command_that_shows_it_again() -> None:
    with pytest.raises(helm.HelmError) as failure:
        helm.render({"replicas": -1})
    assert failure.value.command.startswith("""echo '{"replicas": -1}' | helm template test """)
    assert failure.value.command in str(failure.value)


def test_helm_gets_texts_as_they_are() -> None:
    env = {"engine": {"env": {"GREETING": "\U0001f600 \u00e9"}}}
    server = helm.render(env).objects.one("Deployment").at("spec", "template", "spec", "containers", "vllm")
    assert {"name": "GREETING", "value": "\U0001f600 \u00e9"} in server["env"]


def test_the_users_cluster_and_helm_settings_are_out_of_reach() -> None:
    output = helm.call(["env"])
    for line in output.splitlines():
        name, _, value = line.partition("=")
        if name.endswith(("_HOME", "_CONFIG", "_CACHE", "_PLUGINS")) and value.strip('"'):
            assert "vllm-chart-helm-" in value, line


# -- value sets


def test_a_values_file_that_nobody_picks_up_is_seen(tmp_path: Path) -> None:
    for name in ("values/a.yml", "values/more/b.yaml", "tests/e2e/values/c.yaml", "tests/e2e/other.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [path.name for path in overlooked((tmp_path / "values", tmp_path / "tests"))]
    assert sorted(found) == ["a.yml", "b.yaml", "c.yaml"]


def test_a_key_that_every_value_set_leaves_alone_is_seen() -> None:
    defaults = {"a": 1, "b": {"c": [], "d": {}, "e": False}}
    assert list(unset(defaults, [])) == ["a", "b.c", "b.d", "b.e"]
    assert list(unset(defaults, [{"a": 1}, {"b": {"c": ["x"]}}, {"b": {"d": {}, "e": True}}])) == ["a", "b.d"]


# -- committed manifests


def test_a_manifest_that_is_changed_missing_or_left_over_is_seen(tmp_path: Path) -> None:
    shutil.copytree(snapshots.FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "cpu.yaml").write_text("changed", encoding="utf-8")
    (tmp_path / "embedding.yaml").unlink()
    (tmp_path / "left-over.yaml").touch()
    stale = registry.stale(snapshots.files(tmp_path))
    assert sorted(path.name for path in stale) == ["cpu.yaml", "embedding.yaml", "left-over.yaml"]
    assert stale[tmp_path / "left-over.yaml"] is None
