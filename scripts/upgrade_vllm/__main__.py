"""Runs `make upgrade-vllm`."""

from __future__ import annotations

from scripts.upgrade_vllm import upgrade
from vllm_chart.entry_point import main

main(upgrade.run)
