"""`make docs`: builds the documentation's site, strictly: a link or an anchor that leads nowhere ends the build."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ci.common import ROOT
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.process import run
from vllm_chart.progress import say

SITE = ROOT / "build" / "site"

#: What a page may name without loading it: links for readers, and names of XML's own.
_LOADED = ('src="http', "src='http", 'rel="stylesheet" href="http', "url(http", "@import")


def build() -> None:
    """Build the site, or with --serve show it and follow changes."""
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}  # MkDocs loads hooks.py by its path
    mkdocs = [sys.executable, "-m", "mkdocs"]
    if "--serve" in sys.argv[1:]:
        run([*mkdocs, "serve", "--dev-addr", "127.0.0.1:8001"], cwd=ROOT, env=paths)
        return
    start = time.monotonic()
    run([*mkdocs, "build", "--strict", "--quiet"], cwd=ROOT, env=paths)
    if found := list(from_other_hosts(SITE)):
        raise UserError("The site would load something from another host:\n" + "\n".join(found))
    pages = len(list(SITE.rglob("*.html")))
    say(f"{pages} pages in {SITE.relative_to(ROOT)}, every link checked, in {time.monotonic() - start:.0f} s")


def from_other_hosts(site: Path) -> list[str]:
    """Pages and style sheets that load something from another host, each with what it loads."""
    files = [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]
    return [
        f"{file.relative_to(site)}: {mark}"
        for file in files
        for mark in _LOADED
        if mark in file.read_text(encoding="utf-8")
    ]


if __name__ == "__main__":
    main(build)
