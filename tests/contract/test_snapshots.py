"""The committed manifests are those that the values files make today."""

from __future__ import annotations

from scripts.generate import snapshots


def test_the_committed_manifests_are_current() -> None:
    stale = snapshots.stale()
    assert not stale, f"run `make rendered` and look at what changed: {', '.join(stale)}"
