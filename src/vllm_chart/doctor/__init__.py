"""Diagnoses a release: cluster reads it, rules and scheduling find problems, reasons recognizes messages."""
