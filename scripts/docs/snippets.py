"""What the documentation shows to be written or run, taken out of its fenced blocks so that it can be tested.

The words after a fence's language say what a block is, where that is not values of the chart or commands to run:
`yaml refused NAME` are values that the check NAME refuses, `yaml manifest` objects of a cluster or of a tool,
`yaml part-of KIND` a part of one, `yaml subchart` the files of a chart that uses ours, and `LANGUAGE untested: REASON`
says why nothing can be held against a block.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ci.common import ROOT
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml

#: Programs that a reader runs beside helm, kubectl, make, curl and vllm-chart, and what keeps a test from running them.
PARSED_ONLY = {
    "argocd": "needs Argo CD's server",
    "cosign": "needs a registry with signatures",
    "export": "sets a variable of the reader's shell",
    "flux": "needs a cluster with Flux",
    "git": "needs a remote repository",
    "gpg": "run with a key of its own by make test-release",
    "grep": "filters the output of a command that needs a cluster",
    "kustomize": "make test-release runs the page's kustomization",
    "less": "shows text to a reader",
    "openssl": "makes a random key",
    "oc": "needs OpenShift",
    "pip": "installs into the reader's environment",
    "pre-commit": "installs a hook in the reader's checkout",
    "python": "run by make lint and make test",
    "sh": "run by CI itself",
    "tr": "filters the output of another command",
    "uv": "builds a package in the reader's checkout",
    "vllm": "needs a running server",
}


@dataclass(frozen=True)
class Snippet:
    """One fenced block.

    Attributes:
        page: the file that has it, relative to the repository.
        line: number of its fence, from 1.
        language: first word after the fence, in lower case; empty without one.
        mark: second word, which says what the block is.
        rest: what follows the mark.
        text: what stands between the fences, without the indentation of the fence.
    """

    page: str
    line: int
    language: str
    mark: str
    rest: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_values(self) -> bool:
        """Return whether it is values of the chart that must render."""
        return self.language == "yaml" and not self.mark


@dataclass(frozen=True)
class Command:
    """One program with its arguments, as a block of shell commands has it."""

    snippet: Snippet
    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)

    @property
    def program(self) -> str:
        """The program's name."""
        return self.words[0]

    @property
    def renders(self) -> bool:
        """Return whether it is Helm that makes manifests of our chart."""
        ours = any(word.rpartition("/")[2] == "vllm" for word in self.words)
        return self.program == "helm" and ours and bool({"install", "upgrade", "template"} & set(self.words))

    @property
    def how(self) -> str:
        """What a test does with it."""
        if self.program == "make":
            return "the target and its variables exist"
        if self.program == "helm":
            return "rendered" if self.renders else "parsed by Helm"
        if self.program == "kubectl":
            return "parsed by kubectl, as it needs a cluster"
        if self.program == "vllm-chart":
            return "parsed by vllm-chart"
        if self.program == "curl":
            return "path and body are checked, as it needs a running server"
        return f"not run: {PARSED_ONLY[self.program]}"


@cache
def pages() -> tuple[Path, ...]:
    """Every page that a reader follows; what the changelog tells of the past is none."""
    own = [ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "ci/README.md")]
    return (*own, CHART / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<info>[^`\n]*)$")


def snippets(page: Path) -> Iterator[Snippet]:
    """The fenced blocks of a page."""
    opened: tuple[int, str, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        found = _FENCE.match(line)
        if opened is None and found:
            opened, lines = (number, found["indent"], found["fence"], found["info"]), []
        elif opened and line.strip() == opened[2]:
            language, mark, rest = [*opened[3].split(maxsplit=2), "", "", ""][:3]
            text = "\n".join(lines) + "\n"
            yield Snippet(page.relative_to(ROOT).as_posix(), opened[0], language.lower(), mark, rest, text)
            opened = None
        elif opened:
            lines.append(line.removeprefix(opened[1]))
    if opened:
        raise ValueError(f"{page.relative_to(ROOT)}:{opened[0]}: the fence is never closed")


@cache
def every_snippet() -> tuple[Snippet, ...]:
    """The fenced blocks of every page."""
    return tuple(snippet for page in pages() for snippet in snippets(page))


def commands(snippet: Snippet) -> Iterator[Command]:
    """The programs that a block of shell commands runs; each part of a pipe is one."""
    for line in logical_lines(snippet.text):
        tokens = shlex.shlex(line, posix=True, punctuation_chars="|;&")
        tokens.whitespace_split, tokens.commenters = True, "#"
        words: list[str] = []
        for token in [*tokens, ";"]:
            if set(token) <= set("|;&"):
                while words and re.match(r"^[A-Za-z_]\w*=", words[0]):  # a variable for the program
                    words.pop(0)
                if words:
                    yield Command(snippet, tuple(words))
                words = []
            else:
                words.append(token)


def logical_lines(text: str) -> Iterator[str]:
    """Lines of a shell, joined where a backslash or an open quote leads to the next."""
    pending = ""
    for line in text.splitlines():
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        try:
            shlex.split(pending, comments=True)
        except ValueError:  # a quote is open
            pending += "\n"
            continue
        yield pending
        pending = ""
    if pending.strip():
        raise ValueError(f"the shell would wait for more after: {pending}")


@cache
def every_command() -> tuple[Command, ...]:
    """The commands of every page."""
    shell = [snippet for snippet in every_snippet() if snippet.language in ("sh", "bash", "shell") and not snippet.mark]
    return tuple(command for snippet in shell for command in commands(snippet))


def values_before(snippet: Snippet) -> dict[str, Any]:
    """What a reader of a page has in a values file of their own: the values shown last, or else first, on the page."""
    shown = [other for other in every_snippet() if other.page == snippet.page and other.is_values]
    before = [other for other in shown if other.line < snippet.line]
    chosen = (before[-1:] or shown[:1]) if shown else []
    return dict(go_yaml.load(chosen[0].text)) if chosen else {}


@cache
def make_targets() -> frozenset[str]:
    """The targets that `make help` lists."""
    return frozenset(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@cache
def make_variables() -> frozenset[str]:
    """The variables that a user can give to make."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    exported = " ".join(re.findall(r"^export ([A-Z_ ]+)(?:\?=.*)?$", text, flags=re.MULTILINE))
    given = re.findall(r"^([A-Z_0-9]+) \?=|\$\(([A-Z_0-9]+)\)", text, flags=re.MULTILINE)
    return frozenset(exported.split()) | {name for pair in given for name in pair if name}
