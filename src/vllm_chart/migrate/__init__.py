"""Turns manifests that run vLLM into a values file."""
