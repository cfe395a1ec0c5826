"""Checks values files before they are installed."""
