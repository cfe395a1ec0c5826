"""Builds metrics-server's image: one static program."""

from __future__ import annotations

from pathlib import Path

from ci.build import archive, programs
from scripts.common import CACHE, VERSIONS, scratch_folder

#: Upstream's own name: the manifest doesn't know that it was built here.
NAME = f"registry.k8s.io/metrics-server/metrics-server:v{VERSIONS['addons']['metrics-server']}"


def build() -> Path:
    """The archive of the image, for `ctr images import`; built when it isn't there."""
    target = CACHE / "images" / f"metrics-server-{VERSIONS['addons']['metrics-server']}.tar"
    if not target.exists():
        program = programs.METRICS_SERVER.build() / "metrics-server"
        with scratch_folder(target) as root:
            (root / "tmp").mkdir(mode=0o777)
            archive.install(program, root)
            archive.write(target, [archive.Image(NAME, root, {"Entrypoint": ["/metrics-server"]})])
    return target
