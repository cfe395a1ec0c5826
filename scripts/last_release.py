"""Which release came before this commit: what an upgrade begins with, and what versions are compared with.

It is the newest tag v1.2.3 before this commit. Where there is none, as in a copy that was made without tags, it is the
commit that gave CHANGELOG.md the section of the newest version, as the next step after that is its tag.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ci.common import ROOT, product
from vllm_chart.cache import CACHE
from vllm_chart.errors import UserError
from vllm_chart.process import run

#: Why there may be none.
UNKNOWN = "this checkout has no history to find the last release in: `git fetch --tags --unshallow` brings it"


@dataclass(frozen=True)
class LastRelease:
    """A release before this commit.

    Attributes:
        version: as 0.2.0.
        commit: its commit, in full.
        checkout: the folder whose history has it.
    """

    version: str
    commit: str
    checkout: Path = ROOT

    def read(self, path: str) -> str:
        """Return a file as it was, empty if there was none."""
        return run(["git", "show", f"{self.commit}:{path}"], cwd=self.checkout, check=False)

    def unpacked(self) -> Path:
        """Return a folder with `charts` and `values` as they were; it is kept in the cache."""
        return unpacked(self.commit, self.checkout)


def unpacked(commit: str, checkout: Path = ROOT) -> Path:
    """Return a folder with `charts` and `values` as they were at a commit, given in full; it is kept in the cache."""
    target = CACHE / "released" / commit
    if not target.exists():
        with product(target) as folder:
            archive = folder.with_suffix(".tar")
            run(["git", "archive", f"--output={archive}", commit, "charts", "values"], cwd=checkout)
            shutil.unpack_archive(archive, folder, filter="data")
    return target


def last_release(checkout: Path = ROOT) -> LastRelease | None:
    """Return the release before a checkout's commit; None where its history doesn't say."""

    def git(*arguments: str) -> str:
        try:
            return run(["git", *arguments], cwd=checkout, check=False).strip()
        except UserError:  # there is no git
            return ""

    # a pre-release promises nothing, and a release is not compared with itself
    described = ["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "--exclude", "v*-*", "HEAD^"]
    if tag := git(*described):
        return LastRelease(tag.removeprefix("v"), git("rev-parse", f"{tag}^{{commit}}"), checkout)
    if git("rev-parse", "--is-shallow-repository") != "false":
        return None
    heading = re.search(r"^## \[(\d+\.\d+\.\d+)\]", git("show", "HEAD^:CHANGELOG.md"), flags=re.MULTILINE)
    if not heading:
        return None
    commit = git("log", "--max-count=1", "--format=%H", f"-S{heading[0]}", "HEAD^", "--", "CHANGELOG.md")
    return LastRelease(heading[1], commit, checkout)
