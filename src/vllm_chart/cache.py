"""Where results are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

#: Everything that is downloaded or built, outside the checkout so that a fresh clone starts warm.
CACHE = Path(
    os.environ.get("VLLM_CHART_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vllm-chart"
)
