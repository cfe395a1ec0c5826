"""Derives a values file from a model and GPUs."""
