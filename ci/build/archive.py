"""Writes container images from folders, without a container engine: a layer is a tar file, an image some JSON."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.common import product, run


@dataclass(frozen=True)
class Image:
    """An image of one layer.

    Attributes:
        name: repository and tag; with a registry's host where a kubelet is to find it by that name.
        root: folder that becomes the root file system; owners and modes are kept.
        config: the `config` object of the OCI image specification (Entrypoint, Env, User, …).
    """

    name: str
    root: Path
    config: dict[str, Any] = field(default_factory=dict)


def write(target: Path, images: Sequence[Image]) -> None:
    """Write images to one uncompressed archive that `docker load` and `ctr images import` read."""
    with (
        product(target) as scratch,
        tarfile.open(scratch, "w") as archive,
        tempfile.TemporaryDirectory(dir=scratch.parent) as folder,
    ):

        def add(name: str, content: bytes) -> None:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

        manifest = []
        for image in images:
            layer = Path(folder) / "layer.tar"
            run(["tar", "--create", "--file", layer, "--numeric-owner", "--sort=name", "--directory", image.root, "."])
            with layer.open("rb") as file:
                layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
            configuration = json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "config": image.config,
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
                }
            ).encode()
            names = {
                "Config": f"{hashlib.sha256(configuration).hexdigest()}.json",
                "RepoTags": [image.name],
                "Layers": [f"{layer_digest}.tar"],
            }
            add(str(names["Config"]), configuration)
            archive.add(layer, names["Layers"][0])
            layer.unlink()
            manifest.append(names)
        add("manifest.json", json.dumps(manifest).encode())


def install(program: Path, folder: Path) -> None:
    """Copy a program into a folder of an image, executable for all."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, folder / program.name)
    (folder / program.name).chmod(0o755)
