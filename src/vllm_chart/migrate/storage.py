"""Volumes of the server and its init containers."""

from __future__ import annotations

from typing import Any

from vllm_chart.migrate import vllm_command
from vllm_chart.migrate.manifests import Body, Server
from vllm_chart.migrate.part import Part, holds_secret

_HF_CACHES = ("/root/.cache/huggingface", "/home/vllm/.cache/huggingface", "/.cache/huggingface")
_SHARED_MEMORY, _SCRATCH = "/dev/shm", "/tmp"  # noqa: S108 (folders of a container)


def storage(server: Server, replaced: set[str]) -> Part:
    """Return what volumes and init containers become.

    Args:
        server: the server.
        replaced: paths of the mounts that another key of the chart replaces already.
    """
    part = Part()
    mounts = {path: mount for path, mount in server.mounts.items() if path not in replaced}
    kept = {path: mount for path, mount in mounts.items() if not _of_chart(part, path, mount, server)}
    sources: dict[str, Any] = {}
    for path, mount in kept.items():
        volume = _without(server.volumes.get(mount["name"], {}), "name")
        if not volume:
            part.note("lost", path, f"volume {mount['name']} is made by a template of the workload: write extraVolumes")
            continue
        sources[mount["name"]] = volume
        part.put("extraVolumeMounts", path, _without(mount, "mountPath"))
    for container in server.pod.get("initContainers") or []:
        part.put(
            "initContainers", container["name"], _without(without_literal_secrets(part, container, server), "name")
        )
        for mount in container.get("volumeMounts") or []:
            if mount["name"] in server.volumes:
                sources[mount["name"]] = _without(server.volumes[mount["name"]], "name")
    for name, volume in sources.items():
        part.put("extraVolumes", name, volume)
        if "hostPath" in volume:
            part.note(
                "todo",
                f"volume {name}",
                "hostPath is against Pod Security restricted: use a claim, and pvc:// for a model",
            )
    return part


def _of_chart(part: Part, path: str, mount: Body, server: Server) -> bool:
    """Return whether the chart has a volume of its own for a mount, which is then reported."""
    volume = server.volumes.get(mount["name"], {})
    claim = volume.get("persistentVolumeClaim", {}).get("claimName")
    home = vllm_command.expand(str(server.environment.get("HF_HOME", {}).get("value") or ""), {}).rstrip("/")
    temporary = ".cache" in path or path in (_SCRATCH, home)
    if path == _SHARED_MEMORY and "emptyDir" in volume:
        part.note("chart", path, "its size follows from parallelism")
    elif "emptyDir" in volume and temporary and not _shared(mount["name"], server):
        part.note("chart", path, "the chart has a folder of its own for it")
    elif claim and not mount.get("subPath") and path in (home or _HF_CACHES[0], *_HF_CACHES, "/root/.cache"):
        part.put("cache", "model", {"type": "existing", "claimName": claim})
        inside = ", where what lies in its folder huggingface is not found" if path == "/root/.cache" else ""
        part.note("changed", path, f"claim {claim} is cache.model{inside}")
    else:
        return False
    return True


def _without(body: Body, key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}


def without_literal_secrets(part: Part, container: Body, server: Server) -> Body:
    """Return a container whose secrets come from Secrets."""
    variables = [
        {"name": item["name"], "valueFrom": part.secret_variable(server.name, item)}
        if holds_secret(item["name"], str(item.get("value") or ""))
        else item
        for item in container.get("env") or []
    ]
    return {**container, **({"env": variables} if variables else {})}


def _shared(name: str, server: Server) -> bool:
    """Return whether a container beside the server mounts the volume, too."""
    others = [*(server.pod.get("initContainers") or []), *(server.pod.get("containers") or [])]
    return any(
        mount["name"] == name
        for item in others
        if item is not server.container
        for mount in item.get("volumeMounts") or []
    )
