"""The alert rules are tested by Prometheus' own program."""

from __future__ import annotations

import pytest

from ci import tools
from vllm_chart.errors import UserError


@pytest.fixture(scope="session", autouse=True)
def promtool() -> None:
    """Find or install promtool."""
    try:
        tools.put_on_path("promtool")
    except UserError as error:
        pytest.fail(str(error), pytrace=False)
