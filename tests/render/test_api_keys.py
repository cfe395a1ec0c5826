"""API keys: a file that an init container writes into memory."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lib.pod_paths import POD, SERVER
from vllm_chart.chart import CHART
from vllm_chart.render import helm
from vllm_chart.render.helm import Render
from vllm_chart.render.objects import Manifest

SOURCE = (CHART / "files" / "programs" / "api_keys.py").read_text(encoding="utf-8")
CONFIG = "/etc/vllm/config/server.yaml"


def render(*names: str) -> Render:
    """The render with keys of these names."""
    keys = {name: {"existingSecret": f"secret-{name}", "key": "key"} for name in names}
    return helm.render({"server": {"apiKey": {"keys": keys}}})


def deployment(*names: str) -> Manifest:
    """The Deployment with keys of these names."""
    return render(*names).objects.one("Deployment")


@pytest.mark.parametrize("keys", [None, {"old": None}])
def test_keys_taken_away_are_no_keys(keys: dict[str, None] | None) -> None:
    values = {"server": {"apiKey": {"keys": keys}}}
    assert helm.render(values).text == render().text
    assert helm.notes(values) == helm.notes({})
    runtime = values | {"model": {"lora": {"runtimeUpdates": True}}}
    with pytest.raises(helm.HelmError, match=r"check runtimeLora"):
        helm.render(runtime)


def test_of_several_keys_one_can_be_taken_away() -> None:
    both = {"existingSecret": "secret-new", "key": "key"}
    taken = helm.render({"server": {"apiKey": {"keys": {"new": both, "old": None}}}})
    assert taken.text == render("new").text


@pytest.mark.parametrize("names", [("main",), ("new", "old")])
def test_keys_reach_the_server_in_a_file_in_memory_that_only_it_can_read(names: tuple[str, ...]) -> None:
    manifest = deployment(*names)
    arguments = manifest.at(*SERVER, "args")
    # vLLM reads the file only where both words stand apart
    assert arguments[1:3] == ["--config", CONFIG]
    assert "VLLM_API_KEY" not in [item["name"] for item in manifest.at(*SERVER, "env")]
    init = manifest.at(*POD, "initContainers", "api-keys")
    assert init["image"] == manifest.at(*SERVER, "image")
    assert init["command"] == ["python3", "-I", "-c", SOURCE, "/etc/vllm/api-keys", CONFIG]
    assert init["securityContext"] == manifest.at(*SERVER, "securityContext")
    assert manifest.at(*POD, "volumes", "server-config", "emptyDir")["medium"] == "Memory"
    assert manifest.at(*SERVER, "volumeMounts", "/etc/vllm/config")["readOnly"] is True
    assert manifest.at(*POD, "volumes", "api-keys", "projected", "sources") == [
        {"secret": {"name": f"secret-{name}", "items": [{"key": "key", "path": name}]}} for name in names
    ]
    mounts: list[dict[str, Any]] = manifest.at(*SERVER, "volumeMounts")
    assert "api-keys" not in [mount["name"] for mount in mounts]


def write(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the program that writes the file."""
    monkeypatch.setattr(sys, "argv", ["-c", str(source), str(target)])
    exec(compile(SOURCE, "api-keys.py", "exec"), {"__name__": "__main__"})  # noqa: S102


def test_the_file_holds_every_key_without_its_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "keys", tmp_path / "server.yaml"
    # as Kubernetes mounts it: each file a link into a folder whose name begins with dots
    (source / "..data").mkdir(parents=True)
    for name, key in {"old": 'a"b: #c\n', "new": "s3cret"}.items():
        (source / "..data" / name).write_text(key, encoding="utf-8")
        (source / name).symlink_to(Path("..data") / name)
    for _ in range(2):  # a container that starts again finds the file of the first time
        write(source, target, monkeypatch)
    assert json.loads(target.read_text(encoding="utf-8")) == {"api-key": ["s3cret", 'a"b: #c']}
    assert stat.S_IMODE(target.stat().st_mode) == 0o400
    assert "s3cret" not in capsys.readouterr().out


@pytest.mark.parametrize(("key", "words"), [("\n", "nothing under this key"), ("-abc", "begins with a dash")])
def test_a_key_that_vllm_would_not_take_is_told_by_its_name_alone(
    key: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "new").write_text(key, encoding="utf-8")
    with pytest.raises(SystemExit, match=rf"server\.apiKey\.keys\.new: .*{words}") as failure:
        write(tmp_path / "keys", tmp_path / "server.yaml", monkeypatch)
    assert "abc" not in str(failure.value)
    assert not (tmp_path / "server.yaml").exists()


def test_volume_without_a_key_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").mkdir()
    with pytest.raises(SystemExit, match=r"server\.apiKey\.keys: .*holds no key"):
        write(tmp_path / "keys", tmp_path / "server.yaml", monkeypatch)
    assert not (tmp_path / "server.yaml").exists()
