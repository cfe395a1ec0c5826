"""Builds kind's node image: Debian with systemd, the programs, and an archive of the control plane's images."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ci import go_programs
from ci.common import VERSIONS, digest, forget_others, scratch_folder
from ci.offline import archive, debian
from vllm_chart.cache import CACHE
from vllm_chart.process import run
from vllm_chart.progress import step

_FILES = Path(__file__).parent / "node"
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "mount", "procps", "kmod", "jq", "ca-certificates", "busybox-static"),
    *("iptables", "nftables", "iproute2", "conntrack", "ethtool", "socat", "libseccomp2"),
)
_KUBERNETES_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_KUBE_PROXY_PACKAGES = ("iptables", "libxtables12", "libnftnl11", "libmnl0", "libc6")  # what `iptables` links to
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer")
_PROVISIONER = f"localhost/local-path-provisioner:{VERSIONS['build']['local-path-provisioner']}"
_HELPER = "localhost/local-path-helper:1"


#: Where Docker keeps the node images that were built here.
REPOSITORY = "localhost/vllm-chart-node"


def name() -> str:
    """The node image's name; changes with everything that goes into it."""
    parts = digest(*_PACKAGES, str(VERSIONS["build"]), _FILES, go_programs.MODULES, Path(__file__))
    return f"{REPOSITORY}:v{VERSIONS['build']['kubernetes']}-{parts}"


def build() -> Path:
    """The archive of the node image, for `docker load`; built when it isn't there."""
    target = CACHE / "images" / f"node-{name().rsplit(':', 1)[1]}.tar"
    if target.exists():
        return target
    built = {p.name: p.build() for p in go_programs.NODE}
    base = base_root()
    with step("Assemble the node image", hint="about 30 s"), scratch_folder(target) as folder:
        root = folder / "node"
        run(["cp", "--archive", base, root])
        run(["cp", "--recursive", "--no-dereference", f"{_FILES}/root/.", root])
        run(["chroot", root, "systemctl", "set-default", "multi-user.target"])
        run(["chroot", root, "systemctl", "enable", "containerd", "preload-images", "pod-network", "kubelet"])
        # a login prompt would silence the console, where kind waits to read that multi-user.target is reached;
        # systemd-sysctl would change settings of the whole host
        run(["chroot", root, "systemctl", "mask", "getty.target", "console-getty", "systemd-sysctl", *_TIMERS])
        archive.install(built["kubernetes"] / "kubeadm", root / "usr/bin")
        archive.install(built["kubernetes"] / "kubelet", root / "usr/bin")
        archive.install(_kubectl(), root / "usr/bin")
        for program in (*built["containerd"].iterdir(), *built["runc"].iterdir()):
            archive.install(program, root / "usr/local/bin")
        for program in built["cni-plugins"].iterdir():
            archive.install(program, root / "opt/cni/bin")
        (root / "kind/version").write_text(f"v{VERSIONS['build']['kubernetes']}\n")
        (root / "etc/kubernetes/manifests").mkdir(parents=True)
        images = _control_plane(folder, base, built)
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
            archive.write(root / "kind/images" / file, chosen, compress=True)
        config = {
            "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=docker"],
            "StopSignal": "SIGRTMIN+3",
        }
        archive.write(target, [archive.Image(name(), root, config)])
    forget_others(target, "node-*.tar")
    return target


def base_root() -> Path:
    """The node's Debian, without our files."""
    return debian.root("node", _PACKAGES)


def _runs_on_workers(image: archive.Image) -> bool:
    return not any(f"/{title}:" in image.name for title in (*_KUBERNETES_CONTROL_PLANE, "etcd"))


def _kubectl() -> Path:
    """Kind calls kubectl inside the node."""
    from ci import tools  # noqa: PLC0415  # tools builds Go programs, too

    return tools.find("kubectl")


def _control_plane(folder: Path, base: Path, built: dict[str, Path]) -> list[archive.Image]:
    """The images that kubeadm and the storage class ask for, one static program each."""
    version = f"--kubernetes-version=v{VERSIONS['build']['kubernetes']}"
    names = run([built["kubernetes"] / "kubeadm", "config", "images", "list", version])
    wanted = {re.split(r"[/:]", line)[-2]: line for line in names.split()}
    pause = folder / "pause"
    run(["gcc", "-Os", "-static", "-s", "-o", pause, _FILES / "pause.c"])

    def image(title: str, reference: str, *files: Path, entrypoint: list[str] | None = None) -> archive.Image:
        root = folder / "images" / title
        for file in files:
            archive.install(file, root / "usr/local/bin")
        for directory in ("etc", "tmp"):
            (root / directory).mkdir()
        (root / "tmp").chmod(0o1777)
        return archive.Image(reference, root, {"Entrypoint": entrypoint})

    kubernetes = built["kubernetes"]
    (etcd,) = built["etcd"].iterdir()
    kube_proxy = image("kube-proxy", wanted["kube-proxy"], kubernetes / "kube-proxy")
    debian.copy_packages(base, kube_proxy.root, _KUBE_PROXY_PACKAGES)
    for command in ("iptables", "iptables-save", "iptables-restore"):
        for family in (command, command.replace("ip", "ip6", 1)):
            (kube_proxy.root / "usr/sbin" / family).symlink_to("xtables-nft-multi")
    helper = image("helper", _HELPER, base / "bin" / "busybox")
    (helper.root / "bin").symlink_to("usr/local/bin")  # the provisioner calls /bin/sh
    for applet in ("sh", "mkdir", "rm"):
        (helper.root / "usr/local/bin" / applet).symlink_to("busybox")
    shutil.copy(etcd, folder / "etcd")  # `go build` calls it `server`
    return [
        *(image(title, wanted[title], kubernetes / title) for title in _KUBERNETES_CONTROL_PLANE),
        image("etcd", wanted["etcd"], folder / "etcd"),
        image("coredns", wanted["coredns"], built["coredns"] / "coredns", entrypoint=["/usr/local/bin/coredns"]),
        image("pause", wanted["pause"], pause, entrypoint=["/usr/local/bin/pause"]),
        image("provisioner", _PROVISIONER, built["local-path-provisioner"] / "local-path-provisioner"),
        kube_proxy,
        helper,
    ]
