"""What the caches and engine.files make: volumes, claims, and the ConfigMap."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib.pod_paths import POD, SERVER
from vllm_chart.render import helm
from vllm_chart.render.objects import Objects


def objects(values: dict[str, Any]) -> Objects:
    """The objects that the values give."""
    return helm.render(values).objects


def environment(values: dict[str, Any]) -> dict[str, Any]:
    """The server's environment as name to text."""
    return {item["name"]: item.get("value") for item in objects(values).one("Deployment").at(*SERVER, "env")}


@pytest.mark.parametrize(
    ("cache", "source"),
    [
        ({}, {"emptyDir": {}}),
        ({"size": "50Gi"}, {"emptyDir": {"sizeLimit": "50Gi"}}),
        ({"type": "existing", "claimName": "weights"}, {"persistentVolumeClaim": {"claimName": "weights"}}),
        ({"type": "claim", "size": "50Gi"}, {"persistentVolumeClaim": {"claimName": "test-{name}-cache"}}),
    ],
)
@pytest.mark.parametrize("name", ["model", "compile"])
def test_a_cache_lies_where_its_type_says(name: str, cache: dict[str, Any], source: dict[str, Any]) -> None:
    found = objects({"cache": {name: cache}})
    volume = dict(found.one("Deployment").at(*POD, "volumes", f"{name}-cache"))
    assert volume.pop("name") == f"{name}-cache"
    assert str(volume) == str(source).replace("{name}", name)
    assert found.one("Deployment").at(*SERVER, "volumeMounts", f"/cache/{name}")["name"] == f"{name}-cache"
    assert bool(found.of("PersistentVolumeClaim")) == (cache.get("type") == "claim")


def test_a_claim_is_made_as_asked_and_kept_where_asked() -> None:
    model = {"type": "claim", "size": "50Gi", "storageClassName": "fast", "accessModes": ["ReadWriteMany"]}
    found = objects({"cache": {"model": model, "compile": {"type": "claim", "size": "5Gi"}}})
    kept = found.one("PersistentVolumeClaim", "test-model-cache")
    assert kept.at("spec") == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "50Gi"}},
    }
    assert kept.at("metadata", "annotations") == {"helm.sh/resource-policy": "keep"}
    gone = found.one("PersistentVolumeClaim", "test-compile-cache")
    assert gone.lacks("metadata", "annotations")
    assert gone.lacks("spec", "storageClassName")


def test_the_server_is_told_where_its_caches_lie() -> None:
    found = environment({})
    assert found["HF_HOME"] == "/cache/model"
    assert found["VLLM_CACHE_ROOT"].startswith("/cache/compile/")


def test_compiled_code_is_kept_apart_by_image_model_and_device() -> None:
    different: list[dict[str, Any]] = [
        {},
        {"image": {"tag": "v1"}},
        {"model": {"uri": "hf://a/b"}},
        {"model": {"revision": "main"}},
        {"accelerator": {"type": "amd"}, "image": {"repository": "vllm/vllm-openai"}},
        {"accelerator": {"resourceName": "nvidia.com/mig-3g.40gb"}},
    ]
    assert len({environment(values)["VLLM_CACHE_ROOT"] for values in different}) == len(different)
    same = [{}, {"replicas": 2}, {"engine": {"args": {"seed": 1}}}]
    assert len({environment(values)["VLLM_CACHE_ROOT"] for values in same}) == 1


def test_pods_do_not_overlap_where_one_node_mounts_a_claim() -> None:
    def surge(**cache: Any) -> Any:
        values = {"accelerator": {"type": "cpu"}, "cache": {"model": {"size": "1Gi", **cache}}}
        return objects(values).one("Deployment").at("spec", "strategy", "rollingUpdate", "maxSurge")

    assert surge(type="claim") == 0
    assert surge(type="claim", accessModes=["ReadWriteMany"]) == "25%"
    assert surge() == "25%"


def test_several_servers_share_a_claim_that_several_nodes_mount() -> None:
    cache = {"type": "claim", "size": "1Gi", "accessModes": ["ReadWriteOnce", "ReadWriteMany"]}
    assert objects({"replicas": 2, "cache": {"compile": cache}}).of("PersistentVolumeClaim")


def test_files_are_mounted_and_a_change_restarts_the_pods() -> None:
    text = "{{ bos_token }}\n"
    found = objects({"engine": {"files": {"chat.jinja": text}}})
    assert found.one("ConfigMap", "test-files").at("data") == {"chat.jinja": text}
    deployment = found.one("Deployment")
    assert deployment.at(*POD, "volumes", "files", "configMap") == {"name": "test-files"}
    assert deployment.at(*SERVER, "volumeMounts", "/files") == {
        "mountPath": "/files",
        "name": "files",
        "readOnly": True,
    }

    def checksum(files: dict[str, str]) -> Any:
        changed = objects({"engine": {"files": files}, "podAnnotations": {"a": "b"}}).one("Deployment")
        annotations = changed.at("spec", "template", "metadata", "annotations")
        assert annotations["a"] == "b"
        return annotations["checksum/files"]

    assert checksum({"chat.jinja": text}) == checksum({"chat.jinja": text}) != checksum({"chat.jinja": ""})
    without = objects({"engine": {"args": {"max-model-len": 4096}}}).one("Deployment")
    assert "checksum/files" not in without.at("spec", "template", "metadata", "annotations")


def test_no_files_make_no_config_map() -> None:
    assert [item.name for item in objects({}).of("ConfigMap")] == ["test-lifecycle"]
