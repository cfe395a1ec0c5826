"""Moves the chart to another vLLM version."""
