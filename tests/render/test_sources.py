"""Where the model and its adapters come from: what each kind of URI makes of the pod, and the program that fetches."""

from __future__ import annotations

import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.lib.pod_paths import POD, SERVER
from vllm_chart.chart import CHART
from vllm_chart.render import helm
from vllm_chart.render.objects import Manifest

SOURCE = (CHART / "files" / "programs" / "fetch.py").read_text(encoding="utf-8")
SHARED = {"cache": {"model": {"type": "existing", "claimName": "weights"}}}


def deployment(model: dict[str, Any], **values: Any) -> Manifest:
    """The Deployment with that model and other values."""
    return helm.render({"model": model, **values}).objects.one("Deployment")


def environment(container: dict[str, Any]) -> dict[str, Any]:
    """A container's environment: name to text, or to {valueFrom}'s content."""
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def secret(name: str, key: str) -> dict[str, Any]:
    """A source of a variable."""
    return {"secretKeyRef": {"name": name, "key": key}}


# -- the model


@pytest.mark.parametrize(
    ("uri", "path", "name"),
    [
        ("pvc://weights/a/b/", "/model/a/b", "b"),
        ("pvc://weights", "/model", "weights"),
    ],
)
def test_a_model_on_a_claim_is_mounted_read_only_and_read_offline(uri: str, path: str, name: str) -> None:
    manifest = deployment({"uri": uri})
    claim = {"claimName": "weights", "readOnly": True}
    assert manifest.at(*POD, "volumes", "model", "persistentVolumeClaim") == claim
    assert manifest.at(*SERVER, "volumeMounts", "/model")["readOnly"] is True
    assert manifest.at(*SERVER, "args")[:3] == [path, "--served-model-name", name]
    assert environment(manifest.at(*SERVER))["HF_HUB_OFFLINE"] == "1"


def test_a_model_in_the_image_is_named_by_its_folder() -> None:
    manifest = deployment({"uri": "file:///opt/models/smol"})
    assert manifest.at(*SERVER, "args")[:3] == ["/opt/models/smol", "--served-model-name", "smol"]
    assert environment(manifest.at(*SERVER))["HF_HUB_OFFLINE"] == "1"
    assert manifest.lacks(*POD, "volumes", "model")


def test_a_model_in_s3_is_streamed_with_the_keys_of_a_secret() -> None:
    manifest = deployment({"uri": "s3://bucket/a/b/", "credentials": {"existingSecret": "storage"}})
    arguments = manifest.at(*SERVER, "args")
    assert arguments[:3] == ["s3://bucket/a/b/", "--served-model-name", "b"]
    assert "--load-format=runai_streamer" in arguments
    found = environment(manifest.at(*SERVER))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert found[name] == secret("storage", name)
    assert manifest.lacks(*POD, "initContainers")
    assert manifest.lacks(*SERVER, "volumeMounts", "/etc/vllm/google/model")


def test_a_model_in_googles_storage_is_streamed_with_a_mounted_key_file() -> None:
    manifest = deployment({"uri": "gs://bucket/a", "credentials": {"existingSecret": "google", "key": "k.json"}})
    assert "--load-format=runai_streamer" in manifest.at(*SERVER, "args")
    path = environment(manifest.at(*SERVER))["GOOGLE_APPLICATION_CREDENTIALS"]
    assert path == "/etc/vllm/google/model/k.json"
    assert manifest.at(*SERVER, "volumeMounts", "/etc/vllm/google/model")["name"] == "model-key"
    assert manifest.at(*POD, "volumes", "model-key", "secret") == {"secretName": "google"}


def test_another_streamer_can_be_chosen_and_other_sources_have_none() -> None:
    engine = {"args": {"load-format": "runai_streamer_sharded"}}
    arguments = deployment({"uri": "s3://bucket/a"}, engine=engine).at(*SERVER, "args")
    assert [item for item in arguments if "load-format" in item] == ["--load-format=runai_streamer_sharded"]
    assert not [item for item in deployment({}).at(*SERVER, "args") if "load-format" in item]


def test_an_image_is_copied_where_it_can_not_be_mounted() -> None:
    model = {"uri": "oci://registry.example/smol:1", "copyFrom": "/models"}
    manifest = deployment(model, image={"pullPolicy": "Always"})
    copy = manifest.at(*POD, "initContainers", "copy-model")
    assert (copy["image"], copy["imagePullPolicy"]) == ("registry.example/smol:1", "Always")
    assert copy["command"] == ["cp", "-r", "/models/.", "/target"]
    assert copy["volumeMounts"] == [{"name": "model", "mountPath": "/target"}]
    assert copy["securityContext"] == manifest.at(*SERVER, "securityContext")
    assert manifest.at(*POD, "volumes", "model") == {"name": "model", "emptyDir": {}}
    assert manifest.at(*SERVER, "volumeMounts", "/model")["readOnly"] is True


def test_weights_on_a_claim_are_fetched_before_the_server_starts_and_others_by_it() -> None:
    credentials = {"existingSecret": "hugging-face", "key": "token"}
    model = {"uri": "hf://a/b", "revision": "main", "credentials": credentials}
    key = {"valueFrom": secret("api", "key")}
    engine = {
        "env": {"HTTPS_PROXY": "http://proxy:3128", "VLLM_API_KEY": key},
        "envFrom": [{"secretRef": {"name": "more"}}],
    }
    manifest = deployment(model, engine=engine, **SHARED)
    fetch = manifest.at(*POD, "initContainers", "fetch-model")
    assert fetch["image"] == manifest.at(*SERVER, "image")
    assert fetch["command"] == ["python3", "-I", "-c", SOURCE, "hf://a/b", "main", ""]
    found = environment(fetch)
    assert found["HF_TOKEN"] == secret("hugging-face", "token")
    assert found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["HF_HOME"] in [mount["mountPath"] for mount in fetch["volumeMounts"]]
    assert fetch["envFrom"] == engine["envFrom"]
    assert "VLLM_API_KEY" in environment(manifest.at(*SERVER))
    assert "VLLM_API_KEY" not in found
    assert deployment(model).lacks(*POD, "initContainers")


def test_the_charts_own_init_containers_can_be_changed_and_omitted() -> None:
    resources = {"limits": {"memory": "2Gi"}}
    server = {"requests": {"cpu": 8, "memory": "64Gi"}, "limits": {"memory": "64Gi"}}
    changed = helm.render(
        {**SHARED, "resources": server, "initContainers": {"fetch-model": {"resources": resources}}}
    ).objects
    fetch = changed.one("Deployment").at(*POD, "initContainers", "fetch-model")
    assert fetch["resources"] == resources
    assert fetch["command"][3] == SOURCE
    omitted = helm.render({**SHARED, "initContainers": {"fetch-model": None}}).objects.one("Deployment")
    assert omitted.lacks(*POD, "initContainers")


def test_what_runs_before_the_server_may_use_what_is_reserved_for_it_but_no_device() -> None:
    values: dict[str, Any] = {
        "model": {
            "uri": "oci://registry.example/smol:1",
            "copyFrom": "/models",
            "lora": {"adapters": {"sql": {"uri": "hf://team/sql"}}},
        },
        "server": {"apiKey": {"keys": {"main": {"existingSecret": "api", "key": "key"}}}},
        "initContainers": {"own": {"image": "a:1"}},
        "resources": {"requests": {"cpu": 4, "memory": "16Gi", "ephemeral-storage": "1Gi"}},
        "podSpec": {"containers": [{"name": "vllm", "resources": {"limits": {"cpu": 4, "memory": "16Gi"}}}]},
    }
    manifest = helm.render(values).objects.one("Deployment")
    assert manifest.at(*SERVER, "resources", "limits", "nvidia.com/gpu") == 1
    init = {item["name"]: item.get("resources") for item in manifest.at(*POD, "initContainers")}
    same = {"cpu": 4, "memory": "16Gi"}
    given = {"limits": same, "requests": same}
    assert init == {"api-keys": given, "copy-model": given, "fetch-adapter-sql": given, "own": None}


def test_init_container_has_the_requests_of_the_server_where_its_limits_are_null() -> None:
    values = {
        "model": {"uri": "oci://registry.example/smol:1", "copyFrom": "/models"},
        "resources": {"requests": {"cpu": 4}, "limits": None},
        "podSpec": {"containers": [{"name": "vllm", "resources": {"limits": None}}]},
    }
    init = helm.render(values).objects.one("Deployment").at(*POD, "initContainers", "copy-model")
    assert init["resources"] == {"requests": {"cpu": 4}}


# -- adapters


def test_adapters_are_served_by_name_from_where_each_lies() -> None:
    adapters = {
        "a-hub": {"uri": "hf://team/a"},
        "b-claim": {"uri": "pvc://adapters/b"},
        "c-image": {"uri": "oci://registry.example/c:1"},
        "d-file": {"uri": "file:///opt/d"},
        "e-bucket": {"uri": "s3://bucket/e"},
        "gone": None,
    }
    manifest = deployment({"uri": "pvc://weights", "lora": {"adapters": adapters}})
    arguments = manifest.at(*SERVER, "args")
    start = arguments.index("--lora-modules")
    assert arguments[start - 1] == "--enable-lora"
    assert arguments[start + 1 : start + 6] == [
        "a-hub=/fetched/a-hub",
        "b-claim=/adapters/b-claim/b",
        "c-image=/adapters/c-image",
        "d-file=/opt/d",
        "e-bucket=/fetched/e-bucket",
    ]
    assert manifest.at(*POD, "volumes", "adapter-b-claim", "persistentVolumeClaim", "claimName") == "adapters"
    assert manifest.at(*POD, "volumes", "adapter-c-image", "image", "reference") == "registry.example/c:1"
    assert manifest.at(*POD, "volumes", "fetched", "emptyDir") == {}
    fetched = [item["name"] for item in manifest.at(*POD, "initContainers")]
    assert fetched == ["fetch-adapter-a-hub", "fetch-adapter-e-bucket"]
    for path in ("/fetched", "/adapters/b-claim", "/adapters/c-image"):
        assert manifest.at(*SERVER, "volumeMounts", path)["readOnly"] is True
    assert "HF_HUB_OFFLINE" not in environment(manifest.at(*SERVER))


def test_an_adapter_is_fetched_with_its_own_credentials_or_else_the_models() -> None:
    own = {"uri": "hf://team/own", "revision": "v1", "credentials": {"existingSecret": "own", "key": "token"}}
    adapters = {"own": own, "other": {"uri": "hf://team/other"}}
    model = {"credentials": {"existingSecret": "model", "key": "token"}, "lora": {"adapters": adapters}}
    manifest = deployment(model)
    fetch = {name: manifest.at(*POD, "initContainers", f"fetch-adapter-{name}") for name in adapters}
    assert environment(fetch["own"])["HF_TOKEN"] == secret("own", "token")
    assert environment(fetch["other"])["HF_TOKEN"] == secret("model", "token")
    assert environment(manifest.at(*SERVER))["HF_TOKEN"] == secret("model", "token")
    assert fetch["own"]["command"][4:] == ["hf://team/own", "v1", "/fetched/own"]


def test_an_adapter_in_googles_storage_has_its_own_key_file_or_else_the_models() -> None:
    own = {"uri": "gs://bucket/own", "credentials": {"existingSecret": "own", "key": "o.json"}}
    adapters = {"own": own, "other": {"uri": "gs://bucket/other"}}
    google = {"existingSecret": "google", "key": "k.json"}
    manifest = deployment({"uri": "gs://bucket/a", "credentials": google, "lora": {"adapters": adapters}})
    for adapter, volume, path in (
        ("own", "adapter-own-key", "/etc/vllm/google/adapter-own/o.json"),
        ("other", "model-key", "/etc/vllm/google/model/k.json"),
    ):
        fetch = manifest.at(*POD, "initContainers", f"fetch-adapter-{adapter}")
        assert environment(fetch)["GOOGLE_APPLICATION_CREDENTIALS"] == path
        mounts = {mount["name"]: mount["mountPath"] for mount in fetch["volumeMounts"] if "key" in mount["name"]}
        assert mounts == {volume: str(Path(path).parent)}
    without = deployment({"uri": "hf://a/b", "credentials": google, "lora": {"adapters": {"other": adapters["other"]}}})
    fetch = without.at(*POD, "initContainers", "fetch-adapter-other")
    assert not [mount for mount in fetch["volumeMounts"] if "key" in mount["name"]]


def test_adapters_are_loaded_at_run_time_only_where_that_is_asked_for() -> None:
    keys = {"main": {"existingSecret": "api", "key": "key"}}
    on = deployment({"lora": {"runtimeUpdates": True}}, server={"apiKey": {"keys": keys}})
    assert environment(on.at(*SERVER))["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert "--enable-lora" in on.at(*SERVER, "args")
    off = deployment({})
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in environment(off.at(*SERVER))
    assert not [item for item in off.at(*SERVER, "args") if "lora" in item]


# -- the program that fetches


class Hub:
    """Stands in for huggingface_hub: files by name, and what was asked of it."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names
        self.asked: list[tuple[str, str | None, list[str]]] = []
        self.error: Exception | None = None

    def snapshot_download(self, repository: str, revision: str | None, ignore_patterns: list[str]) -> str:
        """Write the wanted files."""
        self.asked.append((repository, revision, ignore_patterns))
        if self.error:
            raise self.error
        for name in self.names:
            if not any(Path(name).match(pattern) for pattern in ignore_patterns):
                (self.folder / name).touch()
        return str(self.folder)


def fetch(monkeypatch: pytest.MonkeyPatch, *arguments: str, **modules: types.SimpleNamespace | None) -> None:
    """Run the program with its libraries replaced; None is a library that is not there."""
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", ["-c", *arguments])
    before = signal.getsignal(signal.SIGTERM)
    try:
        exec(compile(SOURCE, "fetch.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    finally:
        signal.signal(signal.SIGTERM, before)


def library(hub: Hub) -> types.SimpleNamespace:
    """The library that the program imports."""
    return types.SimpleNamespace(snapshot_download=hub.snapshot_download)


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (
            ["config.json", "model.safetensors", "pytorch_model.bin", "model.onnx", "tf_model.h5"],
            {"config.json", "model.safetensors"},
        ),
        (["config.json", "pytorch_model.bin", "tf_model.h5"], {"config.json", "pytorch_model.bin"}),
    ],
)
def test_of_the_weights_one_form_is_fetched(
    names: list[str], kept: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(tmp_path, names)
    fetch(monkeypatch, "hf://team/model", "", "", huggingface_hub=library(hub))
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert {asked[:2] for asked in hub.asked} == {("team/model", None)}


def test_a_fetched_adapter_is_found_where_the_server_looks_even_after_a_second_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = tmp_path / "snapshot", tmp_path / "sql"
    folder.mkdir()
    hub = Hub(folder, ["adapter_model.safetensors"])
    for _ in range(2):
        fetch(monkeypatch, "hf://team/sql", "v1", str(target), huggingface_hub=library(hub))
    assert [path.name for path in target.iterdir()] == ["adapter_model.safetensors"]
    assert hub.asked[0][:2] == ("team/sql", "v1")


def test_a_failed_fetch_says_what_and_why_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path, [])
    hub.error = OSError("401 Client Error\nat some line of the library")
    with pytest.raises(SystemExit, match=r"^hf://team/model can't be fetched: OSError: 401 Client Error$"):
        fetch(monkeypatch, "hf://team/model", "", "", huggingface_hub=library(hub))


def test_a_fetch_ends_at_once_when_its_pod_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Hub):
        def snapshot_download(self, *_: Any, **__: Any) -> str:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("it fetches on")

    monkeypatch.setattr(os, "_exit", sys.exit)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as the kernel does with process 1
    try:
        with pytest.raises(SystemExit) as ended:
            fetch(monkeypatch, "hf://team/model", "", "", huggingface_hub=library(Endless(tmp_path, [])))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143


class LocalEntryNotFoundError(FileNotFoundError):
    """As the library raises it where the Hub can't be asked and the cache may lack something."""


class IncompleteSnapshotError(LocalEntryNotFoundError):
    """As the library raises it where something is known to be missing."""


@pytest.mark.parametrize("error", [LocalEntryNotFoundError, IncompleteSnapshotError])
def test_without_the_hub_a_model_is_left_to_the_server_and_an_adapter_is_not(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(tmp_path, [])
    hub.error = error("2 files are missing")
    fetch(monkeypatch, "hf://team/model", "", "", huggingface_hub=library(hub))
    assert capsys.readouterr().out == (
        "hf://team/model is left to the server and what the cache holds: 2 files are missing\n"
    )
    with pytest.raises(SystemExit, match=f"{error.__name__}: 2 files are missing"):
        fetch(monkeypatch, "hf://team/sql", "", str(tmp_path / "sql"), huggingface_hub=library(hub))


def test_an_adapter_comes_out_of_object_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "code"

    def pull_files(place: str, folder: str, allow: None, ignore: None) -> None:
        assert (place, allow, ignore) == ("s3://bucket/code/", None, None)
        (Path(folder) / "adapter_config.json").touch()

    streamer = types.SimpleNamespace(pull_files=pull_files)
    for uri in ("s3://bucket/code", "s3://bucket/code/"):
        fetch(monkeypatch, uri, "", str(target), runai_model_streamer=streamer)
    assert [path.name for path in target.iterdir()] == ["adapter_config.json"]


@pytest.mark.parametrize(
    ("streamer", "words"),
    [
        (None, "the image has no runai-model-streamer"),
        (types.SimpleNamespace(pull_files=lambda *_: None), "there is nothing under this path"),
    ],
)
def test_object_storage_without_library_or_files_is_told(
    streamer: types.SimpleNamespace | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=words):
        fetch(monkeypatch, "s3://bucket/code", "", str(tmp_path / "code"), runai_model_streamer=streamer)
