"""Writes the table of docs/accelerators.md from files/data/accelerators.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ci.common import ROOT
from scripts.generate.chart_readme import table
from vllm_chart import accelerators

TARGET = ROOT / "docs" / "accelerators.md"
_BEGIN, _END = "<!-- Generated from charts/vllm/files/data/accelerators.yaml. -->\n\n", "\n\n<!-- End. -->"
_TESTED = {"e2e": "yes, `make e2e`", "checked": "rendered and checked only", "rendered": "**untested**"}


def files() -> dict[Path, str]:
    """Return the page with the table that the file gives."""
    before, _, rest = TARGET.read_text(encoding="utf-8").partition(_BEGIN)
    head = ("type", "resource", "image", "quantization methods", "tested here")
    return {TARGET: f"{before}{_BEGIN}{table(head, _rows())}{_END}{rest.partition(_END)[2]}"}


def _rows() -> Iterator[tuple[str, ...]]:
    for name, item in accelerators.known().items():
        resource = f"`{item.resource}`" if item.resource else "none"
        image = f"`{item.repository}`" if item.repository else "none published: set `image.repository` and `image.tag`"
        methods = ", ".join(f"`{method}`" for method in item.quantization)
        methods = methods or item.docs.get("quantization", "not checked")
        resource += f" ({item.docs['resource']})" if "resource" in item.docs else ""
        image += f", {item.docs['image']}" if "image" in item.docs else ""
        yield f"`{name}`", resource, image, methods, _TESTED[item.tested]
