"""Makes mutants of a chart's templates: copies with one small change each, which some test should detect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.mutation.branches import ACTION

#: Lines that hold no code, or open or close a block, so that without them the template would not be one.
_KEPT = re.compile(r"\{\{-?\s*(if|else|end|range|with|define|break|/\*)\b|^\s*(#.*)?$|\*/ -?\}\}")
_PATH = re.compile(r"(?<![\w)])\$?\.Values((?:\.\w+)+)")


@dataclass(frozen=True)
class Mutant:
    """One mutant: the template, the helper that it stands in, its line, what kind it is, and the texts."""

    file: str
    helper: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    number: int = 1

    def __str__(self) -> str:
        place = f"{self.file} {self.helper}".strip()
        number = f" ({self.number})" if self.number > 1 else ""
        return f"{place}: {self.kind}: {_shown(self.before)} → {_shown(self.after) or 'nothing'}{number}"

    def applied(self, text: str) -> str:
        """Return the template with the change."""
        assert text.startswith(self.before, self.start)
        return text[: self.start] + self.after + text[self.start + len(self.before) :]


def _shown(text: str) -> str:
    return " ".join(text.split())


def mutants(file: str, text: str, defaults: Mapping[str, Any]) -> list[Mutant]:
    """Return every mutant of a template; the chart's defaults say which paths there are to swap."""
    helpers = [(found.start(), found[1]) for found in re.finditer(r'\{\{-? define "([^"]+)"', text)]
    seen: dict[tuple[str, str, str, str], int] = {}
    found = []
    for start, kind, before, after in sorted({*_actions(text, defaults), *_lines(text)}):
        helper = next((name for at, name in reversed(helpers) if at <= start), "")
        key = (helper, kind, _shown(before), _shown(after))
        seen[key] = seen.get(key, 0) + 1
        found.append(Mutant(file, helper, text.count("\n", 0, start) + 1, kind, before, after, start, seen[key]))
    return found


_Change = tuple[int, str, str, str]


def _actions(text: str, defaults: Mapping[str, Any]) -> Iterator[_Change]:
    for action in ACTION.finditer(text):
        words, start = action[2], action.start(2)
        if words.startswith("/*"):
            continue
        if block := re.match(r"(else if|if|with|range)\s+(.*)", words, re.DOTALL):
            kind, condition, at = block[1], block[2], start + block.start(2)
            if kind.endswith("if"):
                yield at, "negated condition", condition, f"not ({condition})"
            elif ":=" not in condition:
                yield at, f"empty {kind}", condition, "list"
        for pipe in re.finditer(r"\s*\| (quote|toYaml|toRawJson|int64|int|float64|trim|uniq|lower)\b", words):
            yield start + pipe.start(), f"lost {pipe[1]}", pipe[0], ""
        for pipe in re.finditer(r"\s*\| default (\([^()]*\)|\S+?)(?=[\s)]|$)", words):
            yield start + pipe.start(), "lost default", pipe[0], ""
        for name, other in (("and", "or"), ("or", "and"), ("lt", "le"), ("gt", "ge"), ("eq", "ne"), ("ne", "eq")):
            for word in re.finditer(rf"(?<![\w.\"$-]){name} (?=[.$(\"])", words):
                yield start + word.start(), f"{name} for {other}", f"{name} ", f"{other} "
        for path in _PATH.finditer(words):
            if other := _sibling(path[1].split(".")[1:], defaults):
                yield start + path.start(1), "swapped path", path[1], other
        # an indentation by one more says the same in YAML
        for number in re.finditer(r"(?<!nindent )(?<![\w.\"$])\d+(?![\w.\"])", words):
            yield start + number.start(), "another number", number[0], str(int(number[0]) + 1)


def _sibling(steps: list[str], defaults: Mapping[str, Any]) -> str:
    """Return the path of another value of the same type beside that one; empty where there is none."""
    node: Any = defaults
    for step in steps[:-1]:
        node = node.get(step) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or steps[-1] not in node:
        return ""
    kind = type(node[steps[-1]])
    others = [key for key, value in node.items() if key != steps[-1] and type(value) is kind and key.isidentifier()]
    return "".join(f".{step}" for step in (*steps[:-1], others[0])) if others else ""


def _lines(text: str) -> Iterator[_Change]:
    """Dropped lines, and other numbers and truths in those that are YAML."""
    start, inside = 0, False
    for line in text.splitlines(keepends=True):
        opened = line.rfind("{{") > line.rfind("}}")
        if not (inside or opened or _KEPT.search(line)):
            yield start, "dropped line", line, ""
            for literal in re.finditer(r"(?<=: )(true|false|\d+)$", line.rstrip("\n")):
                other = {"true": "false", "false": "true"}.get(literal[0])
                yield start + literal.start(), "another value", literal[0], other or str(int(literal[0]) + 1)
        inside = opened or (inside and "}}" not in line)
        start += len(line)
