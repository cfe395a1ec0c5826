"""Makes sure that this machine can build images, before anything long begins."""

from __future__ import annotations

import os
import platform
import shutil

from ci.apt import apt_install
from ci.common import VERSIONS, require_disk
from vllm_chart.cache import CACHE
from vllm_chart.errors import UserError

#: program or file → the Debian package that has it
_PACKAGES = {
    "debootstrap": "debootstrap",
    "gcc": "gcc",
    "/usr/include/stdlib.h": "libc6-dev",
    "/usr/include/seccomp.h": "libseccomp-dev",
    "pkg-config": "pkg-config",
    "zstd": "zstd",
}


def prepare() -> None:
    """Install missing system packages, or raise `UserError` where this machine can't build images."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise UserError(
            "Images can be built on Linux x86-64 only: use a network with an image registry (IMAGES=registry)."
        )
    if os.geteuid() != 0:
        raise UserError(
            "Building images makes Debian root file systems, which needs root: use sudo, or IMAGES=registry."
        )
    if not shutil.which("go"):
        raise UserError(
            "Building images needs Go 1.26 or newer: install it (https://go.dev/dl), or use IMAGES=registry."
        )
    if not any((CACHE / "images").glob("vllm-*.tar")):
        require_disk(VERSIONS["build"]["disk-gigabytes"], "Building the images")
    apt_install(_PACKAGES)
