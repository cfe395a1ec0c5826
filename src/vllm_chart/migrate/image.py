"""The image that the server runs, and what its shell does beside vLLM."""

from __future__ import annotations

import re

from vllm_chart import accelerators
from vllm_chart.chart import app_version
from vllm_chart.migrate.manifests import Server
from vllm_chart.migrate.part import Part


def image(server: Server) -> Part:
    """Return what the container's image becomes: the chart's own where it is vLLM's."""
    part = Part()
    whole = str(server.container.get("image", ""))
    name, digest = whole.partition("@")[::2]
    repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    registry, slash, rest = repository.partition("/")
    if not slash or not re.search(r"[.:]|^localhost$", registry):
        registry, rest = "docker.io", repository
    version = app_version()
    if accelerators.is_published(rest) and registry == "docker.io":
        if tag != f"v{version}":
            part.note(
                "changed", "image", f"{whole} becomes the chart's own, vLLM {version}, for which the flags are checked"
            )
    elif rest:
        part.put("image", "registry", registry)
        part.put("image", "repository", rest)
        if tag not in ("", "latest"):
            part.put("image", "tag", tag)
        else:
            part.note(
                "todo",
                "image",
                f"{whole} has no tag that stays what it is: set image.tag, else the chart asks for v{version}",
            )
        if digest:
            part.put("image", "digest", digest)
        part.comment(
            "image", f"Its entrypoint must be `vllm serve`, and its vLLM {version}, for which the flags are checked."
        )
    policy = server.container.get("imagePullPolicy", "IfNotPresent")
    if policy != "IfNotPresent":
        part.put("image", "pullPolicy", policy)
    if server.start.beside:
        part.note(
            "lost",
            "command",
            f"the shell runs `{'`, `'.join(server.start.beside)}`, too: build it into an image, or an init container",
        )
    return part
