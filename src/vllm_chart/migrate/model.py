"""The model and its adapters: where they come from, and by which names clients ask for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from vllm_chart.migrate.manifests import Server, folder
from vllm_chart.migrate.part import Part

#: Flags that become keys of `model`.
FLAGS = ("served-model-name", "revision")


@dataclass(frozen=True)
class Source:
    """Where a model or an adapter comes from.

    Attributes:
        uri: as the chart writes it.
        remark: what the chart does differently; empty if nothing.
        mount: the path of the mount that it replaces; empty if none.
    """

    uri: str
    remark: str = ""
    mount: str = ""


def source(path: str, server: Server) -> Source:
    """Return where a model or adapter comes from that vLLM is given as a path, a name or a URI."""
    if "://" in path:
        return Source(path)
    if not path.startswith("/"):
        return Source(f"hf://{path}")
    found = server.mount_of(path)
    if found is None:
        return Source(f"file://{path}")
    mount, inside = found
    volume = server.volumes.get(mount["name"], {})
    if claim := volume.get("persistentVolumeClaim", {}).get("claimName"):
        below = "/".join(part.strip("/") for part in (mount.get("subPath", ""), inside) if part.strip("/"))
        uri = f"pvc://{claim}" + (f"/{below}" if below else "")
        return Source(uri, f"{path} is {uri}, which the chart mounts read-only below /model", folder(mount))
    if not inside and (reference := volume.get("image", {}).get("reference")):
        return Source(f"oci://{reference}", "the chart mounts the image at /model", folder(mount))
    return Source(f"file://{path}")


def model(server: Server) -> Part:
    """Return what the model becomes, with its names and revision."""
    part, path, flags = Part(), server.start.model, server.start.flags
    if not path:
        path = "Qwen/Qwen3-0.6B"
        part.note(
            "todo",
            "model",
            f"the command names none, so vLLM takes its own default: set model.uri ({path} stands there)",
        )
    found = source(path, server)
    _replace_mount(part, "model", found)
    part.put("model", "uri", found.uri)
    names = flags.get("served-model-name")
    names = names if isinstance(names, list) else [names] if names else [path]
    scheme, _, rest = found.uri.partition("://")
    if names[0] != (rest if scheme == "hf" else rest.rstrip("/").rpartition("/")[2]):
        part.put("model", "name", names[0])
    if names[1:]:
        part.put("model", "aliases", names[1:])
    if revision := flags.get("revision"):
        if scheme == "hf":
            part.put("model", "revision", str(revision))
        else:
            part.note("lost", "--revision", "only models of Hugging Face have revisions")
    return part


def adapters(entries: Iterable[str], server: Server) -> Part:
    """Return what the adapters of --lora-modules become."""
    part = Part()
    for entry in entries:
        name, _, path = entry.partition("=")
        if entry.startswith("{"):
            said = json.loads(entry)
            name, path = str(said.get("name")), str(said.get("path"))
        if path and re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", name):
            found = source(path, server)
            _replace_mount(part, f"adapter {name}", found)
            part.put("model", "lora", "adapters", name, {"uri": found.uri})
        else:
            part.note(
                "lost",
                f"adapter {name}",
                "its name needs lower-case letters, digits and dashes: add it to model.lora.adapters under such a name",
            )
    return part


def _replace_mount(part: Part, subject: str, found: Source) -> None:
    if found.remark:
        part.note("changed", subject, found.remark)
    if found.mount:
        part.mounts.add(found.mount)
