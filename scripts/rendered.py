"""`make rendered`: writes the manifests of every file in values/ to tests/rendered/."""

from __future__ import annotations

import sys

from scripts import tools
from scripts.common import ROOT, main

sys.path.insert(0, str(ROOT / "tests"))
from harness import rendered


def run() -> None:
    """Write what changed, and delete what no values file makes any more."""
    tools.put_on_path("helm")
    expected = rendered.expected()
    rendered.FOLDER.mkdir(exist_ok=True)
    for path in set(rendered.FOLDER.iterdir()) - set(expected):
        path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")
    for path, text in expected.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(run)
