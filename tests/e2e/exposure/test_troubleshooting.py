"""Every command of docs/troubleshooting.md, run as it stands there on a release that serves."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ci import cluster
from ci.common import ROOT
from ci.helm_release import HelmRelease
from scripts.docs import snippets
from tests.e2e.conftest import FILES
from tests.e2e.exposure.workbench import NAMESPACE, Workbench, client

PAGE = ROOT / "docs" / "troubleshooting.md"
#: A part of commands that aren't run here, and why.
LEFT_OUT = {
    "NS=llm NAME=llama": "the release has another name here",
    "vllm-chart doctor": "make e2e-doctor runs it",
    "nvidia-smi": "needs a GPU",
    "https://llm.example.com": "needs a proxy; test_proxy.py asks through one",
}
#: Stops at the first program that fails, and gives a port-forward the time that typing takes.
BEFORE = """
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
curl() { command curl --silent --show-error --fail --retry 20 --retry-connrefused --retry-delay 1 "$@"; }
"""


def commands() -> list[str]:
    """What the page says to type, in blocks and in the midst of sentences; what begins with & is one with the next."""
    blocks = [snippet.text for snippet in snippets.snippets(PAGE) if snippet.language == "sh"]
    lines = [line for block in blocks for line in snippets.logical_lines(block) if not line.startswith("#")]
    typed = re.sub(r" &\n", " &&&", "\n".join(lines)).split("\n")
    prose = re.sub(r"^```.*?^```$", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    said = re.findall(r"`((?:kubectl|helm) [^`]+)`", prose)
    return [command.replace(" &&&", " &\n") for command in dict.fromkeys(typed + said)]


@dataclass(frozen=True)
class Live:
    """A release that serves, and the key that it wants."""

    release: HelmRelease
    key: str


@pytest.fixture(scope="module")
def live(hub: dict[str, Any], workbench: Workbench, new_release: Callable[..., HelmRelease]) -> Iterator[Live]:
    """A release with all that the commands look for: two revisions, a restart, a claim, a key, and a busy log."""
    release, key = new_release("llama"), secrets.token_hex(16)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "llama"}, "stringData": {"key": key}}
    workbench.start(secret)
    server = {"apiKey": {"keys": {"main": {"existingSecret": "llama", "key": "key"}}}}
    values = hub | {"server": server}
    release.install(FILES, values)
    release.wait()
    release.install(FILES, values | {"service": {"annotations": {"example.com/revision": "2"}}})
    (pod,) = [item["metadata"]["name"] for item in release.pods()]
    release.kubectl("exec", pod, "--", "python3", "-c", "import os; os.kill(1, 15)")
    deadline = time.monotonic() + 300
    while not ((status := release.status(pod))["restartCount"] and status["ready"]):
        assert time.monotonic() < deadline, status
        time.sleep(1)
    with client(release) as api:
        api.headers["Authorization"] = f"Bearer {key}"
        body = {"model": "team/small", "prompt": "Once upon a time", "max_tokens": 600, "ignore_eos": True}
        api.post("/v1/completions", json=body).raise_for_status()  # vLLM tells its throughput each ten seconds
    yield Live(release, key)
    workbench.remove("secret/llama")


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_page_works(live: Live, command: str) -> None:
    for part, reason in LEFT_OUT.items():
        if part in command:
            pytest.skip(f"{part}: {reason}")
    if " top " in command and "metrics.k8s.io/v1beta1" not in cluster.kubectl("api-versions").split():
        pytest.skip("needs metrics-server: make cluster-addons")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # the cluster itself has port 8000 of this machine
    typed = command.replace("8000:80", f"{port}:80").replace("http://127.0.0.1:8000/v1", f"http://127.0.0.1:{port}/v1")
    own = {"KUBECONFIG": str(cluster.KUBECONFIG), "NS": NAMESPACE, "NAME": live.release.name, "KEY": live.key}
    done = subprocess.run(
        ["bash", "-c", BEFORE + typed], env=os.environ | own, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or "No resources found" in done.stderr, f"it shows nothing: {done.stderr}"
