"""Tells which branches of a chart's templates are reached by which values.

A branch is the body of an if, else, range, with or define, and the missing else of an if. Into each a marker is put, a
call of `fail`; `helm lint` only logs what `fail` says and goes on, so that one run shows every branch that is reached.
"""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.templates import template_files
from vllm_chart.render import helm

#: One action of a template: its left trim, its words and its right trim; texts in it may hold braces.
ACTION = re.compile(r'\{\{(-?)\s*((?:/\*.*?\*/|"(?:\\.|[^"\\])*"|`[^`]*`|[^"`}]|\}(?!\}))*?)\s*(-?)\}\}', re.DOTALL)

_OPENING = re.compile(r"(if|range|with|define)\b")

#: What only a live cluster answers, and what stands for it: running.json for the Deployment, yes for every API.
LIVE = {
    re.compile(r"lookup \$workload\.\w+ \$workload\.\w+ \.Release\.Namespace \$workload\.name"): (
        '.Files.Get "running.json" | fromJson'
    ),
    re.compile(r'[.$][\w.]*\.Has "apiregistration\.k8s\.io/v1"'): "(not false)",
}


@dataclass(frozen=True)
class Branch:
    """One branch: its template, the helper that it stands in, its words, its number among equals, and where it is."""

    file: str
    helper: str
    words: str
    number: int
    line: int = field(compare=False)
    #: Where its body begins and ends in the text; a missing else has none.
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    def __str__(self) -> str:
        number = f" ({self.number})" if self.number > 1 else ""
        return (
            f"{self.file} {self.helper}: {self.words}{number}" if self.helper else f"{self.file}: {self.words}{number}"
        )


@dataclass(frozen=True)
class Case:
    """Values, and how they are given: as files, as a map, on a Kubernetes, on a live cluster with what runs there."""

    name: str
    values: Path | Mapping[str, Any]
    kube_version: str = helm.KUBE_VERSION
    live: bool = False
    running: Mapping[str, Any] | None = None
    subchart: str = ""


def marked(file: str, text: str) -> tuple[str, list[Branch]]:
    """Return a template with a marker in each branch, and the branches."""
    branches: list[Branch] = []
    counts: dict[tuple[str, str], int] = {}
    stack: list[tuple[str, str, bool]] = []
    bodies: list[int] = []
    helper = ""

    def mark(words: str, line: int, right: str, start: int = 0) -> str:
        number = counts[helper, words] = counts.get((helper, words), 0) + 1
        branches.append(Branch(file, helper, words, number, line, start))
        # where a template trims, it trims behind the marker
        return f'{{{{ fail "branch {file}#{len(branches) - 1}" {right}}}}}'

    def close(end: int) -> None:
        index = bodies.pop()
        branches[index] = replace(branches[index], end=end)

    def replaced(found: re.Match[str]) -> str:
        nonlocal helper
        left, words, right = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        whole = found.group(0)
        words = " ".join(words.split())
        opening = _OPENING.match(words)
        if opening:
            if opening[1] == "define":
                helper = words.split('"')[1]
            stack.append((opening[1], words, False))
            bodies.append(len(branches))
            return whole + mark("all of it" if opening[1] == "define" else words, line, right, found.end())
        if words == "else" or words.startswith("else "):
            kind, opened, _ = stack[-1]
            stack[-1] = (kind, opened, words == "else")
            close(found.start())
            bodies.append(len(branches))
            return whole + mark(f"else of {opened}" if words == "else" else words, line, right, found.end())
        if words == "end":
            kind, opened, has_else = stack.pop()
            close(found.start())
            if kind == "define":
                helper = ""
            if kind == "if" and not has_else:
                return f"{{{{{left} else }}}}{mark(f'not {opened}', line, '')}{whole}"
        return whole

    return ACTION.sub(replaced, text), branches


def mark_chart(chart: Path, folder: Path, *, live: bool = False) -> dict[str, Branch]:
    """Copy a chart into a folder, with a marker in each branch of its templates; returns the branches by marker."""
    shutil.copytree(chart, folder)
    found: dict[str, Branch] = {}
    for name, path in template_files(folder).items():
        text, branches = marked(name, path.read_text(encoding="utf-8"))
        for pattern, stand_in in LIVE.items() if live else ():
            text = pattern.sub(stand_in, text)
        path.write_text(text, encoding="utf-8")
        found |= {f"{name}#{index}": branch for index, branch in enumerate(branches)}
    if live:
        (folder / "running.json").write_text("{}", encoding="utf-8")
    return found


def around(branches: Sequence[Branch], file: str, offset: int) -> Branch | None:
    """Return the innermost branch around a place in a template; none where the place is always reached."""
    inside = [branch for branch in branches if branch.file == file and branch.start <= offset < branch.end]
    return max(inside, key=lambda branch: branch.start, default=None)


class Reach:
    """Asks which branches values reach; copies of the chart with markers are kept as long as the program."""

    def __init__(self, chart: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vllm-chart-branches-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._charts = {live: self._folder / str(live) / chart.name for live in (False, True)}
        for live, copy in self._charts.items():
            copy.parent.mkdir()
            self._known = mark_chart(chart, copy, live=live)
        self.branches = list(self._known.values())

    def of(self, case: Case) -> set[Branch]:
        """Return the branches that a case reaches; raises ValueError where Helm renders it to an error."""
        chart = self._charts[case.live]
        values = case.values
        if case.running is not None:
            chart = self._copy(chart, "running")
            (chart / "running.json").write_text(json.dumps(case.running), encoding="utf-8")
        if case.subchart:
            chart, values = self._parent(chart, case.subchart), {case.subchart: values}
        text = helm.lint_log(values, chart, case.kube_version)
        broken = re.search(r"^\[ERROR\] templates/.*$", text, flags=re.MULTILINE)
        if broken:
            raise ValueError(f"{case.name}: {broken.group(0)}")
        return self._in(text)

    def of_options(self, options: Sequence[str], stdin: str, key: str) -> set[Branch]:
        """Return the branches that options of Helm and its standard input reach; the key says what is in files."""
        return self._in(helm.kept_log(["lint", str(self._charts[False]), *options], stdin, key, self._charts[False]))

    def _in(self, log: str) -> set[Branch]:
        return {self._known[mark] for mark in re.findall(r"\bbranch (\S+#\d+)", log)}

    def _copy(self, chart: Path, name: str) -> Path:
        copy = self._folder / name / chart.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        return Path(shutil.copytree(chart, copy))

    def _parent(self, chart: Path, alias: str) -> Path:
        """Return a chart of which a chart is the only dependency, under an alias."""
        parent = self._folder / "parent"
        shutil.rmtree(parent, ignore_errors=True)
        shutil.copytree(chart, parent / "charts" / chart.name)
        (parent / "templates").mkdir()  # without one of its own nothing is rendered
        (parent / "templates" / "none.yaml").write_text("", encoding="utf-8")
        metadata = (chart / "Chart.yaml").read_text(encoding="utf-8")
        version = re.search(r"^version: (\S+)$", metadata, flags=re.MULTILINE)
        dependency = {"name": chart.name, "version": version[1] if version else "", "alias": alias}
        body = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
        (parent / "Chart.yaml").write_text(json.dumps(body), encoding="utf-8")
        return parent


def unreached(branches: Sequence[Branch], reached: Mapping[str, set[Branch]]) -> list[Branch]:
    """Return the branches that none of the cases reaches."""
    return [branch for branch in branches if not any(branch in found for found in reached.values())]
