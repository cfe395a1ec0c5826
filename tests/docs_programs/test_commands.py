"""Helm, kubectl and vllm-chart know each word of every command in the documentation; what Helm installs there renders.

Apart from `tests/docs`, as each command starts a program; `make test-all` runs them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ci import tools
from ci.common import ROOT
from scripts.docs import snippets
from scripts.docs.snippets import Command
from vllm_chart.chart import CHART
from vllm_chart.render import helm

COMMANDS = snippets.every_command()


def signature(command: Command) -> tuple[str, ...]:
    """A command without what stands for something of the reader's: program, subcommands and names of flags."""
    words = command.words[: command.words.index("--")] if "--" in command.words else command.words
    return tuple(re.sub(r"=.*", "", word, flags=re.DOTALL) for word in words if re.match(r"^(-|[a-z-]+$)", word))


def once(program: str) -> list[Any]:
    """One command of each signature."""
    found = {signature(command): command for command in COMMANDS if command.program == program}
    return [pytest.param(command, id=f"{command.snippet}: {command}"[:100]) for command in found.values()]


def parse(program: Path | str, command: Command) -> str:
    """What a program says when it is asked for help behind all flags of a command, which it reads first."""
    words = list(command.words[1 : command.words.index("--")] if "--" in command.words else command.words[1:])
    done = subprocess.run([str(program), *words, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def usage(text: str, program: str) -> str:
    """The subcommand that a help text explains; empty where it is the program's own."""
    found = re.search(rf"^Usage:\n +{program} ([a-z -]*[a-z])?", text, flags=re.MULTILINE)
    return (found[1] or "") if found else ""


@pytest.fixture(scope="session")
def kubectl() -> Path:
    return tools.find("kubectl")


@pytest.mark.parametrize("command", once("kubectl"))
def test_kubectl_knows_every_command_and_flag(command: Command, kubectl: Path) -> None:
    assert usage(parse(kubectl, command), "kubectl") in " ".join(command.words)
    assert usage(parse(kubectl, command), "kubectl")


@pytest.mark.parametrize("command", once("helm"))
def test_helm_knows_every_command_and_flag(command: Command) -> None:
    explained = usage(parse(helm.binary(), command), "helm")
    assert explained
    assert set(explained.split()) <= set(command.words)


@pytest.mark.parametrize("command", once("vllm-chart"))
def test_vllm_chart_has_every_command_and_option(command: Command) -> None:
    words = [sys.executable, "-m", "vllm_chart", *command.words[1:]]
    done = subprocess.run([*words, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: vllm-chart {'[OPTIONS]' if len(command.words) == 2 else command.words[1]} ")


@pytest.mark.parametrize("command", [pytest.param(c, id=f"{c.snippet}: {c}"[:100]) for c in COMMANDS if c.renders])
def test_what_helm_installs_renders(command: Command) -> None:
    words, files, flags, stdin = list(command.words[1:]), [], [], ""
    while words:
        word = words.pop(0)
        if word in ("--values", "-f"):
            name = words.pop(0)
            if (ROOT / name).exists():
                files += ["--values", str(ROOT / name)]
            else:
                stdin = json.dumps(snippets.values_before(command.snippet))
                assert stdin != "{}", f"the page shows nothing that could be {name}"
                files += ["--values", "-"]
        elif word == "--version" or word in ("--wait-for-jobs", "--install"):
            words = words[1:] if word == "--version" else words
        elif word.rpartition("/")[2] == "vllm":
            assert word.startswith("oci://") or (ROOT / word.replace("./vllm", "charts/vllm")).is_dir(), word
            flags.append(str(CHART))
        elif word not in ("install", "upgrade", "template"):
            flags.append(word)
    assert "kind: Deployment" in helm.call(["template", *flags, *files, "--kube-version", helm.KUBE_VERSION], stdin)
