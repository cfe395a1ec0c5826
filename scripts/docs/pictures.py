"""`make pictures`: draws the dashboard's panels from what its queries last returned on the cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ci.common import ROOT
from ci.prometheus import Series
from scripts.generate import dashboard
from vllm_chart.cache import CACHE
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.progress import say

TARGET = ROOT / "docs" / "pictures"
_KEPT = CACHE / "reports" / "dashboard.json"
#: Grafana's units: what a value is divided by, and what stands at the axis.
_UNITS = {
    "s": (1, "s"),
    "reqps": (1, "requests/s"),
    "ops": (1, "per second"),
    "percentunit": (0.01, "%"),
    "short": (1, ""),
}
_COLUMNS = dashboard.GRID // dashboard.WIDTH


def keep(answers: Mapping[str, Sequence[tuple[str, Sequence[Series]]]]) -> None:
    """Keep what the queries of panels returned: by the panel's title, for each query its legend and series."""
    kept = {
        title: [
            {"label": _legend(form, series), "points": series.points} for form, found in queries for series in found
        ]
        for title, queries in answers.items()
    }
    _KEPT.parent.mkdir(parents=True, exist_ok=True)
    _KEPT.write_text(json.dumps(kept))


def _legend(form: str, series: Series) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: series.labels.get(found[1], ""), form)


def draw() -> None:
    """Draw one picture for each row of the dashboard."""
    if not _KEPT.exists():
        raise UserError("No answers of the dashboard's queries are kept: run `make e2e-observability` first.")
    kept = json.loads(_KEPT.read_text())
    TARGET.mkdir(exist_ok=True)
    for row, panels in dashboard.ROWS.items():
        shown = [(panel, kept[panel.title]) for panel in panels if panel.title in kept]
        if shown:
            path = TARGET / f"dashboard-{row.lower()}.svg"
            _draw_row(shown, path)
            say(f"wrote {path.relative_to(ROOT)} ({path.stat().st_size / 1e3:.0f} KB)")


def _draw_row(panels: Sequence[tuple[dashboard.Panel, list[dict[str, Any]]]], path: Path) -> None:
    from matplotlib import pyplot, rc_context  # noqa: PLC0415 - not where the tests run

    height = -(-len(panels) // _COLUMNS)
    # the same data gives the same file
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "vllm", "font.size": 8}):
        figure, grid = pyplot.subplots(
            height, _COLUMNS, figsize=(12, 2.6 * height), squeeze=False, layout="constrained"
        )
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        for axes, (panel, lines) in zip(grid.flat, panels, strict=False):
            divisor, unit = _UNITS[panel.unit]
            start = min(point[0] for line in lines for point in line["points"])
            for line in lines:
                minutes = [(at - start) / 60 for at, _ in line["points"]]
                heights = [value / divisor for _, value in line["points"]]
                # a line at 0 is seen as a whole
                axes.plot(minutes, heights, label=line["label"], linewidth=1, clip_on=False)
            axes.set_title(panel.title, loc="left", fontweight="bold")
            axes.set_ylabel(unit)
            axes.set_ylim(bottom=0)
            axes.set_xlabel("minutes")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=6, frameon=False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


if __name__ == "__main__":
    main(draw)
