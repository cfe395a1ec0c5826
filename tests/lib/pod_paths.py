"""Paths in a workload that tests of the pod read."""

from __future__ import annotations

POD = ("spec", "template", "spec")
SERVER = (*POD, "containers", "vllm")
