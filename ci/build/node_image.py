"""Builds kind's node image: Debian with systemd, the programs, and an archive of the control plane's images."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from ci.build import archive, debian, programs
from scripts.common import CACHE, VERSIONS, digest, run
from scripts.progress import step

_FILES = Path(__file__).parent / "node"
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "mount", "procps", "kmod", "jq", "ca-certificates", "busybox-static"),
    *("iptables", "nftables", "iproute2", "conntrack", "ethtool", "socat", "libseccomp2"),
)
_KUBE_PROXY_PACKAGES = ("iptables", "libxtables12", "libnftnl11", "libmnl0", "libc6")  # what `iptables` links to
_PROVISIONER = f"localhost/local-path-provisioner:{VERSIONS['build']['local-path-provisioner']}"
_HELPER = "localhost/local-path-helper:1"


#: Where Docker keeps the node images that were built here.
REPOSITORY = "localhost/vllm-chart-node"


def name() -> str:
    """The node image's name; changes with everything that goes into it."""
    parts = digest(*_PACKAGES, str(VERSIONS["build"]), _FILES, programs.MODULES, Path(__file__))
    return f"{REPOSITORY}:v{VERSIONS['build']['kubernetes']}-{parts}"


def build() -> Path:
    """The archive of the node image, for `docker load`; built when it isn't there."""
    target = CACHE / "images" / f"node-{name().rsplit(':', 1)[1]}.tar"
    if target.exists():
        return target
    built = {p.name: p.build() for p in programs.NODE}
    base = debian.root("node", _PACKAGES)
    with step("Assemble the node image", hint="about 30 s"), tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root = Path(folder) / "node"
        run(["cp", "--archive", base, root])
        run(["cp", "--recursive", "--no-dereference", f"{_FILES}/root/.", root])
        run(["chroot", root, "systemctl", "set-default", "multi-user.target"])
        run(["chroot", root, "systemctl", "enable", "containerd", "preload-images", "pod-network", "kubelet"])
        # a login prompt would silence the console, on which kind waits to read that multi-user.target is reached
        run(["chroot", root, "systemctl", "mask", "getty.target", "console-getty", "apt-daily.timer", "apt-daily-upgrade.timer"])
        archive.install(built["kubernetes"] / "kubeadm", root / "usr/bin")
        archive.install(built["kubernetes"] / "kubelet", root / "usr/bin")
        archive.install(_kubectl(), root / "usr/bin")
        for program in (*built["containerd"].iterdir(), *built["runc"].iterdir()):
            archive.install(program, root / "usr/local/bin")
        for program in built["cni-plugins"].iterdir():
            archive.install(program, root / "opt/cni/bin")
        (root / "kind/version").write_text(f"v{VERSIONS['build']['kubernetes']}\n")
        (root / "etc/kubernetes/manifests").mkdir(parents=True)
        images = _control_plane(Path(folder), base, built)
        (pause,) = [i.name for i in images if "/pause:" in i.name]
        for file, values in {
            "etc/containerd/config.toml": {"@PAUSE@": pause},
            "kind/manifests/default-storage.yaml": {"@PROVISIONER@": _PROVISIONER, "@HELPER@": _HELPER},
        }.items():
            text = (root / file).read_text()
            for key, value in values.items():
                text = text.replace(key, value)
            (root / file).write_text(text)
        for file, on_workers in {"control-plane.tar": False, "all-nodes.tar": True}.items():
            chosen = [image for image in images if _runs_on_workers(image) is on_workers]
            archive.write(root / "kind/images" / file, chosen)
        config = {
            "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=docker"],
            "StopSignal": "SIGRTMIN+3",
        }
        archive.write(target, [archive.Image(name(), root, config)])
    return target


def _runs_on_workers(image: archive.Image) -> bool:
    return not any(name in image.name for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"))


def _kubectl() -> Path:
    """Kind calls kubectl inside the node."""
    from scripts import tools  # noqa: PLC0415  # tools builds Go programs, too

    return tools.find("kubectl")


def _control_plane(folder: Path, base: Path, built: dict[str, Path]) -> list[archive.Image]:
    """The images that kubeadm and the storage class ask for, one static program each."""
    names = run(
        [
            built["kubernetes"] / "kubeadm",
            "config",
            "images",
            "list",
            f"--kubernetes-version=v{VERSIONS['build']['kubernetes']}",
        ]
    )
    wanted = {re.split(r"[/:]", line)[-2]: line for line in names.split()}
    pause = folder / "pause"
    run(["gcc", "-Os", "-static", "-s", "-o", pause, _FILES / "pause.c"])
    busybox = base / "bin" / "busybox"

    def image(title: str, reference: str, *files: Path, entrypoint: list[str] | None = None) -> archive.Image:
        root = folder / "images" / title
        if title == "kube-proxy":
            debian.copy_packages(base, root, _KUBE_PROXY_PACKAGES)
            for command in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
                (root / "usr/sbin" / command).symlink_to("xtables-nft-multi")
        for file in files:
            archive.install(file, root / "usr/local/bin")
        if busybox in files:
            for applet in ("sh", "mkdir", "rm"):
                (root / "usr/local/bin" / applet).symlink_to("busybox")
        if not (root / "bin").exists():
            (root / "bin").symlink_to("usr/local/bin")
        for directory in ("tmp", "etc"):
            (root / directory).mkdir(exist_ok=True)
        (root / "tmp").chmod(0o1777)
        return archive.Image(reference, root, {"Entrypoint": entrypoint})

    kubernetes = built["kubernetes"]
    (etcd,) = built["etcd"].iterdir()
    return [
        *(
            image(title, wanted[title], kubernetes / title)
            for title in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
        ),
        image("etcd", wanted["etcd"], _renamed(etcd, folder / "etcd")),
        image("coredns", wanted["coredns"], built["coredns"] / "coredns", entrypoint=["/usr/local/bin/coredns"]),
        image("pause", wanted["pause"], pause, entrypoint=["/usr/local/bin/pause"]),
        image("provisioner", _PROVISIONER, built["local-path-provisioner"] / "local-path-provisioner"),
        image("helper", _HELPER, busybox),
    ]


def _renamed(program: Path, target: Path) -> Path:
    """A copy under another name; `go build` calls etcd's program `server`."""
    shutil.copy(program, target)
    return target
