"""Says what the manifests of each file in values/ of this repository are, and where the committed ones lie.

They let a reader see what a values file makes, and a reviewer what a change does to it.
"""

from __future__ import annotations

import re
from pathlib import Path

from ci import tools
from ci.common import ROOT
from scripts.value_sets import SHIPPED
from vllm_chart.command import main
from vllm_chart.render import helm

FOLDER = ROOT / "tests" / "snapshots"


def expected() -> dict[Path, str]:
    """Return the text of every file that belongs into the folder."""
    return {FOLDER / path.name: _text(path) for path in sorted(SHIPPED.glob("*.yaml"))}


def stale(folder: Path = FOLDER) -> list[str]:
    """Names of the files in the folder that are not what they should be, are missing, or belong to no values file."""
    wanted = {path.name: text for path, text in expected().items()}
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def _text(values: Path) -> str:
    rendered = helm.render(values, release=values.stem)
    # Helm 4 ends a document with an empty line, Helm 3 does not
    text = re.sub(r"\n+---\n", "\n---\n", rendered.text).rstrip("\n")
    return f"# {rendered.command}\n{text}\n"


def run() -> None:
    """Write what changed, and delete what no values file makes any more."""
    tools.put_on_path("helm")
    wanted = expected()
    FOLDER.mkdir(exist_ok=True)
    for path in set(FOLDER.iterdir()) - set(wanted):
        path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(run)
