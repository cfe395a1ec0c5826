"""Writes container images from folders, without a container engine: a layer is a tar file, an image some JSON."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.common import product, scratch_folder
from vllm_chart.process import run


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


def write(target: Path, images: Sequence[Image], *, compress: bool = False) -> None:
    """Write images to one archive that `ctr images import` reads, and `docker load` where it isn't compressed.

    Args:
        target: the archive.
        images: what it holds.
        compress: pack the layers with zstd; a large one is loaded in half the time, because less is written to disk.
    """
    with (
        product(target) as scratch,
        tarfile.open(scratch, "w") as archive,
        scratch_folder(scratch) as folder,
    ):

        def add(name: str, content: bytes) -> None:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

        manifest = []
        for image in images:
            layer = folder / "layer.tar"
            run(["tar", "--create", "--file", layer, "--numeric-owner", "--sort=name", "--directory", image.root, "."])
            with layer.open("rb") as file:
                layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
            if compress:
                run(["zstd", "--quiet", "--threads=0", "--rm", layer])
                layer = layer.with_suffix(".tar.zst")
            configuration = json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "config": image.config,
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
                }
            ).encode()
            configuration_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
            add(configuration_name, configuration)
            archive.add(layer, f"{layer_digest}.tar")
            layer.unlink()
            manifest.append({"Config": configuration_name, "RepoTags": [image.name], "Layers": [f"{layer_digest}.tar"]})
        add("manifest.json", json.dumps(manifest).encode())


def install(program: Path, folder: Path) -> None:
    """Copy a program into a folder of an image, executable for all."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, folder / program.name)
    (folder / program.name).chmod(0o755)
