"""Builds a vLLM CPU image that stands in for `vllm/vllm-openai-cpu`: same entry point, user, home and tag."""

from __future__ import annotations

import os
from pathlib import Path

from uv import find_uv_bin

from ci.common import VERSIONS, digest, forget_others, product
from ci.offline import archive, debian
from vllm_chart.cache import CACHE
from vllm_chart.chart import app_version
from vllm_chart.process import run
from vllm_chart.progress import say, step

_FILES = Path(__file__).parent / "vllm"
_LOG = CACHE / "logs" / "vllm.log"
# g++ compiles what torch.compile writes, with the headers of Python; torch and vLLM are linked to libnuma and libgomp
_PACKAGES = ("python3", "libpython3-dev", "g++", "libnuma1", "libgomp1", "ca-certificates")
_USER, _HOME = 2000, "home/vllm"  # as upstream's image documents for running as non-root
_TORCH = VERSIONS["vllm"]["torch"]

#: The image's configuration, after upstream's.
CONFIG = {
    "Entrypoint": ["vllm", "serve"],
    "Env": [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"HOME=/{_HOME}",
        "VLLM_TARGET_DEVICE=cpu",
    ],
    "User": f"{_USER}:0",
    "WorkingDir": f"/{_HOME}",
}


def name() -> str:
    """The image's name, upstream's own: the chart's values don't know that it was built here."""
    return f"docker.io/vllm/vllm-openai-cpu:v{app_version()}"


def build() -> Path:
    """The archive of the image, for `ctr images import`; built when it isn't there."""
    target = CACHE / "images" / f"vllm-{root_folder().name}.tar"
    if not target.exists():
        root = build_root()
        with step("Pack the vLLM image", hint="about 20 s"):
            archive.write(target, [archive.Image(name(), root, CONFIG)], compress=True)
        forget_others(target, "vllm-*.tar")
        forget_others(root, "*")
    return target


def root_folder() -> Path:
    """Where the image's root file system lies when it is built; named after all that goes into it."""
    return CACHE / "vllm" / f"{app_version()}-{digest(*_PACKAGES, _FILES, Path(__file__), VERSIONS['build']['debian'])}"


def build_root() -> Path:
    """The image's root file system, with which the model is converted, too; built when it isn't there."""
    target = root_folder()
    if target.exists():
        return target
    base = debian.root("vllm", _PACKAGES)
    wheels = _torch_wheels()
    with step(f"Install vLLM {app_version()} for CPUs", hint="about 90 s"), product(target) as root:
        run(["cp", "--archive", base, root])
        packages = root / f"usr/local/lib/python{VERSIONS['vllm']['python']}/dist-packages"
        install_packages(packages, "--requirement", _FILES / "requirements.txt")
        if wheels:
            install_packages(packages, "--find-links", wheels, f"torch=={_TORCH}+cpu")
        else:
            install_packages(packages, "--requirement", _FILES / "torch-from-pypi.txt")
        # the image's root is read-only when it runs, so Python can't keep what it compiles: 10 s at every start
        # (some packages carry templates that don't compile, hence no check of the exit code)
        in_root(
            root, root, "python3", "-m", "compileall", "-q", "-j", "0", f"/{packages.relative_to(root)}", check=False
        )
        # `vllm` asks for the version of a distribution called vllm, and looks for "+cpu" in it
        metadata = packages / f"vllm-{app_version()}+cpu.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {app_version()}+cpu\n")
        launcher = root / "usr/local/bin/vllm"
        launcher.write_bytes((_FILES / "vllm").read_bytes())
        launcher.chmod(0o755)
        with (root / "etc/passwd").open("a") as passwd:
            passwd.write(f"vllm:x:{_USER}:0::/{_HOME}:/bin/bash\n")
        (root / _HOME).mkdir()
        os.chown(root / _HOME, _USER, 0)
        (root / _HOME).chmod(0o2775)
    return target


def install_packages(folder: Path, *what: str | Path) -> None:
    """Install pinned Python packages for the image's Python, whichever Python runs this."""
    command: list[str | Path] = [
        find_uv_bin(),
        "pip",
        "install",
        "--no-deps",
        "--only-binary=:all:",
        "--link-mode=copy",
    ]
    command += [f"--python-version={VERSIONS['vllm']['python']}", "--python-platform=x86_64-manylinux_2_36"]
    command += ["--no-cache", "--target", folder, *what]
    run(command, log=_LOG)


def _torch_wheels() -> Path | None:
    """Return a folder that has torch's CPU wheel, which PyPI doesn't carry; None if there is none.

    Looked for in $PIP_FIND_LINKS, in $VLLM_CHART_WHEELS, which may hold a program `unpack-wheel` that makes it, and in
    the folder `wheels` of the cache.
    """
    wheel = f"torch-{_TORCH}+cpu-*.whl"
    own = CACHE / "wheels"
    candidates = [Path(p) for p in os.environ.get("PIP_FIND_LINKS", "").split() if Path(p).is_dir()]
    if given := os.environ.get("VLLM_CHART_WHEELS"):
        candidates.append(Path(given))
        unpack = Path(given) / "unpack-wheel"
        if unpack.exists() and not any(own.glob(wheel)):
            with step("Unpack torch's CPU wheel", hint="about 60 s"):
                run([unpack, own], log=_LOG)
    candidates.append(own)
    for folder in candidates:
        if any(folder.glob(wheel)):
            return folder
    say(
        f"  torch {_TORCH} comes from PyPI with its CUDA libraries (a download of several GB): "
        f"torch-{_TORCH}+cpu in {own} or in the folder VLLM_CHART_WHEELS saves that."
    )
    return None


def in_root(root: Path, folder: Path, *command: str, check: bool = True) -> None:
    """Run a program of the image, with `folder` at /mnt; its mounts end with it, however it ends."""
    script = (
        'mount --bind "$2" "$1/mnt" && mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/tmp"'
        ' && root=$1 && shift 2 && exec chroot "$root" "$@"'
    )
    run(["unshare", "--mount", "--net", "sh", "-c", script, "sh", root, folder, *command], log=_LOG, check=check)
