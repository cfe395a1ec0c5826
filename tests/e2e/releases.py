"""The releases that tests install; not in a conftest.py, of which pytest and who imports it have a copy each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ci.helm_release import Release

#: Of these a failed test shows what explains it.
THERE: list[Release] = []


@contextmanager
def fresh(name: str, namespace: str) -> Iterator[Release]:
    """A release that isn't installed yet, in a namespace that enforces "restricted"; uninstalled in the end."""
    release = Release(name, namespace)
    release.create_namespace()
    release.uninstall()
    THERE.append(release)
    try:
        yield release
    finally:
        THERE.remove(release)
        release.uninstall()
