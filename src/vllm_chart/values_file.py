"""What `migrate` and `size` share: a values file with comments, and the lines that tell what to do with it."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vllm_chart.chart import CHART, PACKAGED
from vllm_chart.check.checker import Problem
from vllm_chart.errors import InputError
from vllm_chart.render import go_yaml

Values = dict[str, Any]


class _Dumper(yaml.SafeDumper):
    """Writes text so that Helm reads it as text: PyYAML takes 1e3 for a word, Go's library for a number."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    try:
        plain = go_yaml.load(text) == text
    except yaml.YAMLError:
        plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def put(values: Values, path: Sequence[str], value: object) -> None:
    """Set a value at a path of keys, making the maps on the way."""
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value


def to_text(values: Values, head: str, comments: Mapping[str, Sequence[str]], target: Path, chart: Path = CHART) -> str:
    """Return a values file: sections in the order of the chart's values.yaml, each under its comments.

    Args:
        values: what differs from the chart's defaults.
        head: what the file is for, in one line or more.
        comments: sentences above a top-level key.
        target: where the file will be, for the line by which an editor finds the schema. There is no such line where
            the chart is that of an installed wheel: its path says nothing on another machine.
        chart: the chart's folder.
    """
    schema = os.path.relpath(chart / "editor.schema.json", target.resolve().parent)
    modeline = "" if chart == PACKAGED else f"# yaml-language-server: $schema={schema}\n#\n"
    parts = [modeline + "".join(map(_comment, head.splitlines()))]
    order = list(go_yaml.load((chart / "values.yaml").read_text(encoding="utf-8")))
    for key in sorted(values, key=lambda name: order.index(name) if name in order else len(order)):
        above = "".join(_comment(sentence) for sentence in comments.get(key, ()))
        body = yaml.dump({key: values[key]}, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        parts.append(above + body)
    return "\n".join(parts)


def _comment(sentence: str) -> str:
    lines = textwrap.wrap(sentence, 110, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def write(target: Path, text: str) -> None:
    """Write a values file; raises InputError if it cannot be written, or another one exists there."""
    try:
        if target.exists() and target.read_bytes() != text.encode():
            raise InputError(f"{target}: file exists. Name another file with --to, or delete it first.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target}: {(error.strerror or str(error)).lower()}. Name another file with --to.") from None


def last_lines(target: Path, problems: Sequence[Problem], chart: Path = CHART) -> Iterator[str]:
    """The problems of a written file, if the chart rejects it; otherwise the command that installs it."""
    if problems:
        yield "\nThe chart rejects the values. Correct these problems"
        yield from (f"  {problem}" for problem in problems)
        yield f"\nwrote {target}, which the chart rejects"
    else:
        shown = os.path.relpath(chart) if chart.is_relative_to(Path.cwd()) else chart
        yield f"\nwrote {target}; install it with `helm install NAME {shown} --values {shlex.quote(str(target))}`"
