"""Reaches into values by path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Steps = tuple[str, ...]

#: Keys that only one value gets past the checks or Pod Security "restricted", and one that no values file sets.
FIXED = {
    "podSecurityContext.runAsNonRoot",
    "securityContext.allowPrivilegeEscalation",
    "securityContext.capabilities.drop",
}


def leaves(values: dict[str, Any], path: Steps = ()) -> Iterator[Steps]:
    """Paths to all that is no map with keys."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def at(values: Any, path: Steps) -> Any:
    """What stands at a path; None where nothing does."""
    for step in path:
        values = values.get(step) if isinstance(values, dict) else None
    return values


def having(values: dict[str, Any], path: Steps, new: Any) -> dict[str, Any]:
    """Values with another one at a path."""
    first, *rest = path
    return {**values, first: having(values.get(first) or {}, tuple(rest), new) if rest else new}


def lacking(values: dict[str, Any], path: Steps) -> dict[str, Any]:
    """Values without what stands at a path."""
    first, *rest = path
    if not rest:
        return {key: value for key, value in values.items() if key != first}
    return {**values, first: lacking(values[first], tuple(rest))}
