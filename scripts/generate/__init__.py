"""Writes every file that is generated."""
