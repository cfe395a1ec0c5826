"""Reads what Helm says of values that it refuses: where, what is wrong, and what to write instead.

Helm 4 and Helm 3.17 word the same problem differently; here both give the same. A schema's own remedies stand in
parentheses, as the texts of `const` and in front of patterns; a named check of the chart ends with [check NAME].
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HelmProblem:
    """One thing that Helm refuses: its place as dotted keys, what is wrong, and what to write instead where known."""

    place: str
    wrong: str
    instead: str = ""


#: Words with which the remedy of a named check begins, behind a colon.
_VERBS = "allow ask call choose end enable exclude give install leave let lower make name pick put raise remove run set"
_VERBS += " shorten spell switch take turn use write"
_CHECK = re.compile(rf"^(?P<wrong>.+?): (?P<instead>(?:in \S+, )?(?:{'|'.join(_VERBS.split())})\b.*) \[check (\w+)\]$")
#: The key with which the sentence of a check begins.
_KEY = re.compile(r"[a-z][A-Za-z]*(?:\.[\w/-]+)+(?=[ ,:])")

_REMEDY = re.compile(r"\(((?:write|leave|set by|no |a name|null|check)[^()]*(?:\([^()]*\)[^()]*)*)\)")


def complaints(text: str) -> Iterator[tuple[str, str]]:
    """Place, as Helm 4 (/a/0/b) or Helm 3 (a.0.b) writes it, and words of everything that a schema refuses."""
    pattern = r"^ *- (?:at '([^']*)':|(\S+?):?) (.*)$"
    for pointer, dotted, words in re.findall(pattern, text.replace("\\", ""), flags=re.MULTILINE):
        if words != "validation failed":  # what is wrong stands below
            yield dotted or pointer, words


def parse_helm_errors(text: str, schema: Mapping[str, Any] | None = None) -> list[HelmProblem]:
    """Everything that Helm's text refuses, in the order of places; the schema's keys help where one is misspelt."""
    found = {problem: None for place, words in complaints(text) for problem in _schema(_dotted(place), words, schema)}
    found |= {_check(line): None for line in text.splitlines() if re.search(r" \[check \w+\]$", line)}
    if not found:
        found = {_other(text): None}
    return sorted(found, key=lambda problem: problem.place)


def _dotted(place: str) -> str:
    if not place.startswith("/"):
        return "" if place == "(root)" else place
    return ".".join(step.replace("~1", "/").replace("~0", "~") for step in place.split("/")[1:])


def _schema(place: str, words: str, schema: Mapping[str, Any] | None) -> Iterator[HelmProblem]:
    """The refusals in one line about one place."""
    if found := re.match(r"(?i)additional propert(?:y|ies) (.*?) (?:is )?not allowed", words):
        for key in re.findall(r"'([^']+)'", found[1]) or [found[1]]:
            yield HelmProblem(_join(place, key), "there is no such key", _spelling(key, place, schema))
    elif found := _REMEDY.search(words):
        yield _remedied(place, found[1])
    elif found := re.match(r"(?i)got (\w+), want (.*)$", words):
        yield HelmProblem(place, f"is {_article(found[1])}, not {_either(found[2])}", f"write {_either(found[2])}")
    elif found := re.match(r"Invalid type. Expected: (.*), given: (\w+)$", words):
        yield HelmProblem(place, f"is {_article(found[2])}, not {_either(found[1])}", f"write {_either(found[1])}")
    elif found := re.search(r"must be one of(?: the following:)? (.*)$", words):
        choices = ", ".join(choice.strip("\"'") or '""' for choice in found[1].split(", "))
        yield HelmProblem(place, "is none of the values that there are", f"write one of {choices}")
    elif found := re.match(r"missing propert(?:y|ies) (.*)$", words):
        for key in re.findall(r"'([^']+)'", found[1]):
            yield HelmProblem(_join(place, key), "is missing", f"write {_join(place, key)}")
    elif found := re.match(r"(\S+) is required$", words):
        yield HelmProblem(_join(place, found[1]), "is missing", f"write {_join(place, found[1])}")
    elif bound := _bound(words):
        yield HelmProblem(place, *bound)
    elif not words.startswith(("Must validate", "anyOf", "allOf", "oneOf", "'if'", "if-else", "if-then")):
        yield HelmProblem(place, words[0].lower() + words[1:])


def _bound(words: str) -> tuple[str, str] | None:
    """What is wrong and what to write instead where a value is too large, too small or empty."""
    if found := re.search(r"(?:maximum: .* want |Must be less than or equal to )([\d.,]+)", words):
        return "is too large", f"write {found[1].replace(',', '')} at most"
    if found := re.search(r"(?:minimum: .* want |^Must be greater than or equal to )([\d.,]+)", words):
        return "is too small", f"write {found[1].replace(',', '')} at least"
    if re.search(r"minLength: got 0|String length must be greater than or equal to 1$", words):
        return "is empty", "write a text"
    return None


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _remedied(place: str, text: str) -> HelmProblem:
    for separator in ("; ", ": "):
        wrong, found, instead = text.partition(separator)
        if found and not wrong.startswith("write"):
            return HelmProblem(place, wrong, instead)
    if text.startswith(("write", "leave")):
        return HelmProblem(place, "is not taken as it is here", text)
    return HelmProblem(place, "is not taken as it is here", f"note that {text}")


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeio" else kind if kind == "null" else f"a {kind}"


def _either(kinds: str) -> str:
    return " or ".join(_article(kind) for kind in re.findall(r"[a-z]+", kinds) if kind not in ("or", "null"))


def _spelling(key: str, place: str, schema: Mapping[str, Any] | None) -> str:
    keys = [] if schema is None else _keys(schema, place.split(".") if place else [])
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.7)
    if near:
        return f"write {near[0]}"
    if keys and len(keys) <= 12:
        return f"leave it out; the keys here are {', '.join(keys)}"
    return "leave it out, or look for its name in the chart's README"


def _keys(schema: Mapping[str, Any], steps: list[str]) -> list[str]:
    """The keys that a schema lists at a place; none where the steps lead nowhere, as with a dot in a key."""
    node: Any = schema
    for step in [*steps, None]:
        while isinstance(node, Mapping) and "$ref" in node:
            target: Any = schema
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        if not isinstance(node, Mapping):
            return []
        if step is None:
            break
        patterns = [inner for pattern, inner in node.get("patternProperties", {}).items() if re.search(pattern, step)]
        more = node.get("items") if step.isdigit() else node.get("additionalProperties")
        node = node.get("properties", {}).get(step) or next(iter(patterns), more)
    return [key for key, inner in node.get("properties", {}).items() if "const" not in inner]


def _check(line: str) -> HelmProblem:
    """The problem in the sentence of a named check."""
    found = _CHECK.match(line.strip())
    name = re.search(r"\[check (\w+)\]$", line)
    wrong, instead = (found["wrong"], found["instead"]) if found else (line.rpartition(" [check ")[0].strip(), "")
    key = _KEY.match(wrong)
    place = key[0] if key else f"check {name[1] if name else '?'}"
    if key:
        wrong = wrong.removeprefix(place).strip()
    label = f"[check {name[1]}]" if name and key else ""  # its name in checks.disabled
    return HelmProblem(place, wrong, f"{instead.rstrip('.')} {label}".strip())


def _other(text: str) -> HelmProblem:
    """What Helm says where neither the schema nor a check refuses, as of a template in extraObjects."""
    lines = [line for line in text.splitlines() if line.strip()]
    line = next((line for line in lines if line.startswith("Error: ")), lines[0] if lines else "Helm says nothing")
    line = line.removeprefix("Error: ").strip()
    if "chart requires kubeVersion" in line:
        return HelmProblem("--kube-version", line, "name a Kubernetes that the chart supports")
    if "extra-objects.yaml" in line:
        last = re.split(r"(?:error calling tpl: |<tpl[^>]*>: )", text.strip())[-1].splitlines()[0]
        return HelmProblem("extraObjects", f"a template in it fails: {last}", "write it as Helm's templates want it")
    if "YAML parse error" in line or "error converting YAML" in line:
        return HelmProblem("the manifests", line, "look for a text that breaks YAML, in extraObjects above all")
    return HelmProblem("the values", json.dumps(line, ensure_ascii=False).strip('"'))
