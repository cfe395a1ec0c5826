"""Makes Debian root file systems, because base images can't be pulled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ci.common import VERSIONS, digest, product
from vllm_chart.cache import CACHE
from vllm_chart.process import run
from vllm_chart.progress import step

_LOG = CACHE / "logs" / "debian.log"


def root(name: str, packages: Sequence[str]) -> Path:
    """A folder with a minimal Debian and some packages; shared by all that ask for the same, so copy it to change it.

    Args:
        name: what it is for, as shown to the person who waits.
        packages: Debian package names beside the essential ones.
    """
    suite = VERSIONS["build"]["debian"]
    folder = CACHE / "debian" / f"{name}-{suite}-{digest(*packages)}"
    if not folder.exists():
        with step(f"Debian {suite} for the {name} image", hint="about 90 s"), product(folder) as scratch:
            # in a mount namespace of its own, so that no mount outlives an interruption
            debootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, str(scratch)]
            run(["unshare", "--mount", *debootstrap], log=_LOG)
            run(["chroot", scratch, "apt-get", "clean"], log=_LOG)
            for lists in (scratch / "var/lib/apt/lists").glob("*_*"):
                lists.unlink()
    return folder


def copy_packages(source: Path, target: Path, packages: Sequence[str]) -> None:
    """Copy the files of installed packages from one root file system to another (alternatives aren't theirs)."""
    lists = source / "var/lib/dpkg/info"
    files = {"etc/ld.so.cache"}
    for package in packages:
        (listing,) = {*lists.glob(f"{package}.list"), *lists.glob(f"{package}:*.list")}
        files |= {line[1:] for line in listing.read_text().split("\n") if line[1:] and not (source / line[1:]).is_dir()}
    target.mkdir(parents=True, exist_ok=True)
    for link in ("bin", "lib", "lib64", "sbin"):  # Debian's merged /usr
        (target / link).symlink_to(f"usr/{link}")
    chosen = sorted(f if f.startswith(("usr/", "etc/", "var/")) else f"usr/{f}" for f in files)
    run(
        ["tar", "--create", "--file", target / ".tar", "--directory", source, "--files-from=-"], stdin="\n".join(chosen)
    )
    run(["tar", "--extract", "--file", target / ".tar", "--directory", target])
    (target / ".tar").unlink()
