"""Generates the files that follow from others; registry.py lists the generators."""
