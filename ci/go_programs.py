"""Builds the cluster's programs from Go modules, because the images that usually carry them can't be pulled."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ci.common import VERSIONS, digest, product
from vllm_chart.cache import CACHE
from vllm_chart.errors import UserError
from vllm_chart.process import run
from vllm_chart.progress import step

MODULES = Path(__file__).parent / "go_modules"
_LOG = CACHE / "logs" / "programs.log"


@dataclass(frozen=True)
class Programs:
    """Programs that are built together.

    Attributes:
        name: what they belong to; a key of a section of versions.toml that holds Go programs.
        packages: Go packages with a `main`, without a version.
        hint: how long the first build takes.
        module: folder under ci/go_modules whose go.mod pins everything, for what `go install` can't build.
        cgo: link against C libraries.
        tags: Go build tags, comma-separated.
        ldflags: linker flags beside `-s -w`.
    """

    name: str
    packages: tuple[str, ...]
    hint: str
    module: str = ""
    cgo: bool = False
    tags: str = ""
    ldflags: str = ""

    @property
    def version(self) -> str:
        """The version without a leading v."""
        sections = [VERSIONS[name] for name in ("custom-resources", "lint", "release", "addons", "build")]
        sections.append({"renderer": VERSIONS["tools"]["helm"]["version"]})  # which is Helm
        return str(next(section[self.name] for section in sections if self.name in section))

    @property
    def folder(self) -> Path:
        """Where the finished programs lie; named after all that decides what they are."""
        pins = [MODULES / self.module] if self.module else []
        return CACHE / "programs" / f"{self.name}-{self.version}-{digest(repr(self), *pins)}"

    def build(self) -> Path:
        """Build what isn't there yet; returns `folder`."""
        if not self.folder.exists():
            with step(f"Build {self.name} {self.version}", hint=self.hint), product(self.folder) as folder:
                go_build(
                    [p if self.module else f"{p}@v{self.version}" for p in self.packages],
                    folder,
                    module=MODULES / self.module if self.module else None,
                    cgo=self.cgo,
                    tags=self.tags,
                    ldflags=self.ldflags,
                )
        return self.folder


def _kubernetes_version_flags(version: str) -> str:
    """Linker flags without which a kubelet says v0.0.0 and kubeadm refuses it."""
    major, minor, _ = version.split(".")
    fields = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{key}={value}" for package in packages for key, value in fields.items())


KUBERNETES = Programs(
    "kubernetes",
    tuple(
        f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kubeadm",
            "kubelet",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
        )
    ),
    hint="about 7 min on 2 cores",
    module="kubernetes",
    ldflags=_kubernetes_version_flags(VERSIONS["build"]["kubernetes"]),
)
ETCD = Programs("etcd", ("go.etcd.io/etcd/server/v3",), hint="about 1 min", module="etcd")
# in Kubernetes' module, whose client libraries are compiled already
COREDNS = Programs("coredns", ("./coredns",), hint="about 40 s", module="kubernetes")
CNI_PLUGINS = Programs(
    "cni-plugins",
    tuple(
        f"github.com/containernetworking/plugins/plugins/{path}"
        for path in ("main/ptp", "main/loopback", "ipam/host-local", "meta/portmap")
    ),
    hint="about 20 s",
)
CONTAINERD = Programs(
    "containerd",
    tuple(
        f"github.com/containerd/containerd/v2/cmd/{name}" for name in ("containerd", "ctr", "containerd-shim-runc-v2")
    ),
    hint="about 2 min",
    tags="no_btrfs,no_devmapper,no_zfs,no_aufs",
)
RUNC = Programs(
    "runc",
    ("github.com/opencontainers/runc",),
    hint="about 20 s",
    cgo=True,
    tags="seccomp,netgo,osusergo",
    ldflags="-extldflags=-static",  # the host's C library may be newer than the node's
)
LOCAL_PATH_PROVISIONER = Programs(
    "local-path-provisioner", ("github.com/rancher/local-path-provisioner",), hint="about 1 min"
)
METRICS_SERVER = Programs("metrics-server", ("sigs.k8s.io/metrics-server/cmd/metrics-server",), hint="about 3 min")
# its main package is called cmd
LWS = Programs("lws", ("sigs.k8s.io/lws/cmd",), hint="about 5 min", module="lws")
VERSITYGW = Programs("versitygw", ("github.com/versity/versitygw/cmd/versitygw",), hint="about 2 min")
CONTOUR = Programs("contour", ("github.com/projectcontour/contour/cmd/contour",), hint="about 5 min")
DISTRIBUTION = Programs(
    "distribution", ("github.com/distribution/distribution/v3/cmd/registry",), hint="about 2 min", module="distribution"
)
KUSTOMIZE = Programs("kustomize", ("sigs.k8s.io/kustomize/kustomize/v5",), hint="about 1 min")
PROMETHEUS_ADAPTER = Programs(
    "prometheus-adapter",
    ("sigs.k8s.io/prometheus-adapter/cmd/adapter",),
    hint="about 5 min",
    module="prometheus-adapter",
)
KEDA = Programs(
    "keda",
    ("github.com/kedacore/keda/v2/cmd/operator", "github.com/kedacore/keda/v2/cmd/adapter"),
    hint="about 10 min",
    module="keda",
)
CONTROLLER_GEN = Programs("controller-tools", ("sigs.k8s.io/controller-tools/cmd/controller-gen",), hint="about 1 min")
ACTIONLINT = Programs("actionlint", ("github.com/rhysd/actionlint/cmd/actionlint",), hint="about 25 s")
# Helm as a library, for those who render thousands of times
RENDERER = Programs("renderer", (".",), hint="about 3 min", module="renderer")

#: What a node image holds.
NODE = (KUBERNETES, ETCD, COREDNS, CNI_PLUGINS, CONTAINERD, RUNC, LOCAL_PATH_PROVISIONER)


def go_environment(*, cgo: bool = False) -> dict[str, str]:
    """Return the environment in which Go works: in the project's cache, with the Go that is installed.

    Raises:
        UserError: when Go isn't installed.
    """
    if not shutil.which("go"):
        raise UserError("Go isn't installed, and this is made from Go modules: install Go 1.26 or newer.")
    return {
        "GOCACHE": str(CACHE / "go" / "build"),
        "GOMODCACHE": str(CACHE / "go" / "mod"),
        "GOFLAGS": "-trimpath -modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "1" if cgo else "0",
    }


def go_build(
    packages: list[str],
    folder: Path,
    *,
    module: Path | None = None,
    cgo: bool = False,
    tags: str = "",
    ldflags: str = "",
) -> None:
    """Build Go programs into a folder.

    Args:
        packages: import paths; with an `@version` unless `module` is given.
        folder: made here; each program is named as `go install` names it.
        module: folder whose go.mod and go.sum pin everything.
        cgo: allow C; needs gcc.
        tags: build tags, comma-separated.
        ldflags: added to `-s -w`.
    """
    environment = {"GOBIN": str(folder), **go_environment(cgo=cgo)}
    folder.mkdir(parents=True)
    command = ["go", "build" if module else "install", f"-ldflags=-s -w {ldflags}".rstrip()]
    command += [f"-tags={tags}"] if tags else []
    command += [f"-o={folder}/"] if module else []
    run([*command, *packages], cwd=module, env=environment, log=_LOG)
