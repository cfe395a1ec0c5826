"""The releases that tests install; not in a conftest.py, of which pytest and who imports it have a copy each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ci.helm_release import HelmRelease

#: Of these a failed test shows what explains it.
ACTIVE_RELEASES: list[HelmRelease] = []


@contextmanager
def fresh(name: str, namespace: str) -> Iterator[HelmRelease]:
    """A release that isn't installed yet, in a namespace that enforces "restricted"; uninstalled in the end."""
    release = HelmRelease(name, namespace)
    release.create_namespace()
    release.uninstall()
    ACTIVE_RELEASES.append(release)
    try:
        yield release
    finally:
        ACTIVE_RELEASES.remove(release)
        release.uninstall()
