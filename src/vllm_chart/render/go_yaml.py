"""Reads YAML as Helm and Kubernetes do: with the rules of their Go library, and an error for a key given twice.

PyYAML's own rules differ: it reads `22:22` as 1342, a date as a date and `1e3` as text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML without its C library reads the same, twelve times slower
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
_NULL = frozenset(["", "~", "null", "Null", "NULL"])
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


#: Depth beyond which nobody wants to know it.
_ENOUGH = 1000


class DuplicateKeyError(yaml.YAMLError):
    """A map has one key twice; Go's library keeps the last one in silence, an API server refuses it."""


class _Loader(_Base):
    """The base loader with Go's rules for plain scalars instead of YAML 1.1's."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        repeated = sorted({key for key in own if own.count(key) > 1}) if len(set(map(str, own))) < len(own) else []
        if repeated:
            raise DuplicateKeyError(f"key given twice: {', '.join(repeated)}\n{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


def _words(words: frozenset[str]) -> re.Pattern[str]:
    return re.compile(f"(?:{'|'.join(sorted(map(re.escape, words)))})$")


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits, 8 if len(digits) > 1 and digits.startswith("0") else 10)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))


def _boolean(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return loader.construct_scalar(node) in _TRUE


for _tag, _pattern in (
    ("null", _words(_NULL)),
    ("bool", _words(_TRUE | _FALSE)),
    ("int", re.compile(f"(?:{_INTEGER.pattern})$")),
    ("float", re.compile(f"(?:{_FLOAT.pattern}|{_SPECIAL.pattern})$")),
    ("merge", re.compile("<<$")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:bool", _boolean)


def depth(text: str) -> int:
    """Return how deep maps and lists of a text are nested; raises yaml.YAMLError where it is malformed."""
    deepest = now = 0
    for event in yaml.parse(text, Loader=_Loader):
        now += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, now)
        if deepest > _ENOUGH:
            break
    return deepest


def problem(error: yaml.YAMLError) -> str:
    """Return in a line what is wrong with a text."""
    return str(getattr(error, "problem", None) or str(error).splitlines()[0])


def load(text: str) -> Any:
    """Return the one document in the text; raises yaml.YAMLError where it is malformed or gives a key twice."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)


def load_all(text: str) -> list[Any]:
    """Return every document in the text, without empty ones; raises as `load` does."""
    documents = yaml.load_all(text, Loader=_Loader)
    return [document for document in documents if document is not None]
