"""The command `vllm-chart`."""

from __future__ import annotations

from vllm_chart.check import command


def run() -> None:
    """Run the command line."""
    command.run()
