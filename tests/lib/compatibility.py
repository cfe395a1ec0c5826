"""Finds what a values file that worked before would meet: keys that are gone, and values that are no longer taken.

Both sides are a schema and the defaults of values.yaml. What only a check refuses is not seen, and of a type that many
keys have a change is told once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

#: Keywords that bound a value of a type, with the direction in which a bound gets tighter.
_BOUNDS = {
    "integer": {"minimum": 1, "exclusiveMinimum": 1, "maximum": -1, "exclusiveMaximum": -1},
    "string": {"minLength": 1, "maxLength": -1},
    "array": {"minItems": 1, "maxItems": -1},
}


@dataclass(frozen=True)
class Breach:
    """One change that breaks values files or changes what they give.

    Attributes:
        path: the key, with dots.
        what: what has become of it.
    """

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def breaches(old: Schema, new: Schema, old_defaults: Any, new_defaults: Any) -> list[Breach]:
    """Everything that breaks between two schemas with their defaults, in the order of the old ones."""
    return [*_schema(old, new, _Roots(old, new), ""), *_defaults(old_defaults, new_defaults, "")]


def next_version(version: str, *, breaking: bool) -> str:
    """Return the least version after this one that may break, or that adds; before 1.0 a minor one may break."""
    major, minor, _ = as_numbers(version)
    return f"{major + 1}.0.0" if breaking and major else f"{major}.{minor + 1}.0"


def as_numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers, which compare as versions do; a pre-release may do what its release may."""
    return tuple(int(number) for number in re.split("[-+]", version)[0].split("."))


@dataclass(frozen=True)
class _Roots:
    old: Schema
    new: Schema
    seen: set[tuple[int, int]] = field(default_factory=set)


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        node: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            node = node[int(name)] if isinstance(node, list) else node[name]
        schema = node
    return schema


def _schema(old: Schema, new: Schema, roots: _Roots, path: str) -> Iterator[Breach]:
    old, new = _resolved(old, roots.old), _resolved(new, roots.new)
    if (id(old), id(new)) in roots.seen:  # a type that holds itself, or one that many keys have
        return
    roots.seen.add((id(old), id(new)))
    if "const" in new and "const" not in old:
        yield Breach(path, f"is refused {new['const']}")
        return
    yield from _value(old, new, path)
    yield from _keys(old, new, roots, path)
    for part in ("items", "additionalProperties"):
        inner = new.get(part)
        if isinstance(old.get(part), dict) and isinstance(inner, dict) and "const" not in inner:
            yield from _schema(old[part], inner, roots, f"{path}.*")


def _value(old: Schema, new: Schema, path: str) -> Iterator[Breach]:
    if gone := _types(old) - _types(new):
        yield Breach(path, f"takes {' and '.join(sorted(gone))} no more")
    if "enum" in new and (lost := [value for value in old.get("enum", []) if value not in new["enum"]]):
        yield Breach(path, f"takes {', '.join(map(str, lost))} no more")
    for kind in _types(old) & set(_BOUNDS):
        for bound, direction in _BOUNDS[kind].items():
            if bound in new and (bound not in old or (new[bound] - old[bound]) * direction > 0):
                yield Breach(path, f"has {bound} {new[bound]}, which was {old.get(bound, 'open')}")


def _keys(old: Schema, new: Schema, roots: _Roots, path: str) -> Iterator[Breach]:
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        yield Breach(f"{path}.{name}".strip("."), "is required")
    for name, inner in old.get("properties", {}).items():
        inside = f"{path}.{name}".strip(".")
        if "const" in inner:  # it was refused before
            continue
        if name in new.get("properties", {}):
            yield from _schema(inner, new["properties"][name], roots, inside)
        elif not _open(new):
            yield Breach(inside, "is gone")
    if "object" in _types(old) and _open(old) and not _open(new):
        yield Breach(path, "takes fewer names" if "patternProperties" in new else "takes no keys of any name any more")


def _open(schema: Schema) -> bool:
    """True if a map accepts keys that the schema doesn't list."""
    inner = schema.get("additionalProperties", "type" in schema)
    return bool(inner) and not (isinstance(inner, dict) and "const" in inner)


def _types(schema: Schema) -> set[str]:
    given = schema.get("type", ["array", "boolean", "null", "number", "object", "string"])
    types = {given} if isinstance(given, str) else set(given)
    return types | {"integer"} if "number" in types else types


def _defaults(old: Any, new: Any, path: str) -> Iterator[Breach]:
    if isinstance(old, dict) and isinstance(new, dict) and old:
        for name, value in old.items():
            if name in new:
                yield from _defaults(value, new[name], f"{path}.{name}".strip("."))
    elif old != new:
        yield Breach(path, f"is {new!r} by default, which was {old!r}")
