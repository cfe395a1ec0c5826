"""Writes the list of checks in _checks.tpl from the templates beside it, as a template cannot list others."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.generate import sources
from vllm_chart.chart import CHART

TARGET = CHART / "templates" / "checks" / "_checks.tpl"

_LIST = re.compile(r"(?<=\{\{- \$names := list\n).*?(?=-\}\}\n)", re.DOTALL)


def files() -> dict[Path, str]:
    """Return the template with the names of all checks, in the order of the templates."""
    names = "".join(f'  "{name}"\n' for name in sources.checks())
    return {TARGET: _LIST.sub(names, TARGET.read_text(encoding="utf-8"), count=1)}
