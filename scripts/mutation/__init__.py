"""Finds mutants of the templates that no test sees."""
