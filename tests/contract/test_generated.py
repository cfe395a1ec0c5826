"""Every generated file is what its sources give."""

from __future__ import annotations

import pytest

from ci.common import ROOT
from scripts.generate import registry


@pytest.mark.parametrize("name", registry.GENERATORS)
def test_generated_files_are_current(name: str) -> None:
    stale = sorted(str(path.relative_to(ROOT)) for path in registry.stale(registry.GENERATORS[name]()))
    assert not stale, f"stale: {', '.join(stale)}. Run `make generate`, and look at what changed"
