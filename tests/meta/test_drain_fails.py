"""A drain state that is renamed in one of its two programs fails the test that runs them together."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.render.test_drain import LIFECYCLE, PRESTOP, drain

STATES = ("draining", "closing", "refusing")


@pytest.mark.skipif(sys.platform != "linux", reason="prestop.py reads Linux's tables of sockets")
def test_a_drain_state_that_one_program_renames_is_seen(tmp_path: Path) -> None:
    sources: dict[str, tuple[str, str]] = {}
    for state in STATES:
        sources[f"prestop.py: {state}"] = renamed(PRESTOP, state), LIFECYCLE
        sources[f"vllm_lifecycle.py: {state}"] = PRESTOP, renamed(LIFECYCLE, state)

    async def drains() -> list[BaseException | None]:
        runs = []
        for number, programs in enumerate(sources.values()):
            folder = tmp_path / str(number)
            folder.mkdir()
            runs.append(drain(*programs, folder))
        return await asyncio.gather(*runs, return_exceptions=True)

    outcomes = dict(zip(sources, asyncio.run(drains()), strict=True))
    assert not {name: outcome for name, outcome in outcomes.items() if not isinstance(outcome, AssertionError)}


def renamed(source: str, state: str) -> str:
    """A program's source in which a drain state has another name."""
    assert source.count(f'"{state}"') == 1
    return source.replace(f'"{state}"', f'"{state}-2"')
