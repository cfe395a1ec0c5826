"""What the modules of ci and scripts share: the checkout, versions, files of the cache, and digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from vllm_chart.cache import CACHE
from vllm_chart.errors import UserError
from vllm_chart.process import run

ROOT = Path(__file__).resolve().parent.parent

LOGS = CACHE / "logs"

VERSIONS: dict[str, Any] = tomllib.loads((ROOT / "ci" / "versions.toml").read_text())


@contextlib.contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A folder beside a file or folder, for the time of the block; clears away those of processes that were killed."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    for left in beside.parent.glob(f".{beside.name}.*.*"):
        if not Path(f"/proc/{left.name.split('.')[-2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{beside.name}.{os.getpid()}.", dir=beside.parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def product(path: Path) -> Iterator[Path]:
    """Make a file or folder of the cache whole or not at all.

    Yields a path to write to, on the same disk; it takes `path`'s place when the block ends without an error.
    """
    with scratch_folder(path) as folder:
        yield folder / path.name
        (folder / path.name).replace(path)


def forget_others(target: Path, pattern: str) -> None:
    """Delete what an earlier version of the project made in the same folder under other names."""
    for path in target.parent.glob(pattern):
        if path != target and not path.name.startswith("."):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def digest(*parts: str | Path) -> str:
    """Twelve hex digits that change when a text, a file or any file of a folder among `parts` changes."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]:
                total.update(file.relative_to(part.parent).as_posix().encode() + b"\0" + file.read_bytes())
        else:
            total.update(part.encode() + b"\0")
    return total.hexdigest()[:12]


def install_wheel(requirement: str, folder: Path) -> None:
    """Put the files of one Python package, such as `name==1.2`, into a folder, without its dependencies."""
    command: list[str | Path] = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps"]
    run([*command, f"--python={sys.executable}", "--target", folder, requirement])


def require_disk(gigabytes: float, purpose: str) -> None:
    """Raise `UserError` unless the cache's file system has that much room."""
    CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(CACHE).free / 1e9
    if free < gigabytes:
        raise UserError(
            f"{purpose} needs about {gigabytes:.0f} GB, and {CACHE} has {free:.1f} GB free: "
            "free some space, or set VLLM_CHART_CACHE to a folder on a larger disk."
        )
