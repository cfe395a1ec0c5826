"""The chart: where it is, and the version of vLLM that it deploys."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from vllm_chart.render import go_yaml

#: The copy of the chart in an installed wheel.
PACKAGED = Path(__file__).with_name("chart")

#: The chart's folder: $VLLM_CHART, the copy in an installed wheel, or that of this checkout.
CHART = Path(
    os.environ.get("VLLM_CHART")
    or (PACKAGED if PACKAGED.is_dir() else Path(__file__).resolve().parents[2] / "charts" / "vllm")
)

#: Facts that templates, generators and tools read.
DATA = CHART / "files" / "data"


def app_version(chart: Path = CHART) -> str:
    """Return the version of vLLM that a chart deploys, such as `0.32.0`.

    Raises:
        FileNotFoundError: if the folder contains no Chart.yaml.
    """
    return str(_metadata(chart)["appVersion"])


def oldest_kubernetes(chart: Path = CHART) -> str:
    """Return the oldest minor of Kubernetes that a chart supports, such as `1.31`.

    Raises:
        FileNotFoundError: if the folder contains no Chart.yaml.
    """
    found = re.search(r"\d+\.\d+", _metadata(chart)["kubeVersion"])
    assert found, "kubeVersion names a minor"
    return found[0]


def version() -> str:
    """Return the version of the chart, and of all that comes with it."""
    return str(_metadata(CHART)["version"])


def _metadata(chart: Path) -> dict[str, Any]:
    file = chart / "Chart.yaml"
    if not file.is_file():
        raise FileNotFoundError(f"no chart in the folder {chart}: name one that holds a Chart.yaml, as chart=PATH")
    metadata: dict[str, Any] = go_yaml.load(file.read_text(encoding="utf-8"))
    return metadata
