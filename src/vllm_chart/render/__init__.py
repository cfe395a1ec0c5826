"""Renders a chart, and indexes the objects."""
