"""Builds the documentation's site."""
