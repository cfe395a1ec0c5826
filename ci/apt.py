"""Debian packages: installs those that are missing and reports it first, or unpacks files without an installation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci.common import LOGS, scratch_folder
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import run
from vllm_chart.progress import say, step


def apt_install(packages: Mapping[str, str]) -> None:
    """Install the Debian packages of the programs that are missing.

    Args:
        packages: program on PATH, or absolute path of a file → package that has it.

    Raises:
        UserError: where apt or root is lacking; the text says what to install.
    """

    def there(program: str) -> bool:
        return Path(program).exists() if "/" in program else shutil.which(program) is not None

    missing = sorted({package for program, package in packages.items() if not there(program)})
    if not missing:
        return
    names = " ".join(missing)
    if not shutil.which("apt-get"):
        raise UserError(f"This needs {names} (Debian's names): install them with your system's package manager.")
    if os.geteuid() != 0:
        raise UserError(f"This needs system packages: run `sudo apt-get install {names}`.")
    say(f"  Installing system packages with apt: {names}")
    with step(f"Install {names}", hint="about 25 s"):
        log = LOGS / "apt.log"
        run(["apt-get", "update"], log=log)
        run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *missing],
            log=log,
            env={"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},  # runlevel 1: start no services
        )


def unpack(packages: Sequence[str], folder: Path) -> None:
    """Put the files of packages, but not of their dependencies, into a folder; nothing is installed or started."""
    download = ["apt-get", "download", *packages]
    with scratch_folder(folder) as archives:
        try:
            run(download, cwd=archives)
        except CommandError:  # there may be no package lists yet
            run(["apt-get", "update"])
            run(download, cwd=archives)
        for package in archives.glob("*.deb"):
            run(["dpkg", "-x", package, folder])
