"""A pod that works on a claim, and the claim, with what the tests serve; and how the tests talk to servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from ci import cluster
from ci.common import ROOT
from ci.helm_release import HelmRelease
from tests.e2e import pods
from tests.e2e.load import MODES, Report, Stream

NAMESPACE = "vllm-e2e-exposure"
CLAIM = "models"
#: Of the answer's word the model in float32 is sure: each of its tokens leads the next likely one by more than 2.5, as
#: a natural logarithm, and where the words before it may turn out differently, they lead to it all the same.
QUESTION = {"messages": [{"role": "user", "content": "What is the chemical symbol of water?"}], "max_tokens": 24}
ANSWER = "H2O"
#: One client that connects anew for each request, and one that keeps its connection.
STREAMS = [Stream("new", pause=1), Stream("reused", pause=1)]


def pod(name: str, command: list[str], volumes: dict[str, dict[str, Any]], **container: Any) -> dict[str, Any]:
    """A pod like those of `e2e.pods`, with the claim at /claim."""
    claim = {"/claim": {"persistentVolumeClaim": {"claimName": CLAIM}}}
    return pods.pod(name, command, claim | volumes, **container)


def claim(name: str) -> dict[str, Any]:
    """A claim for models."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }


@dataclass(frozen=True)
class Workbench:
    """A pod that has the claim at /claim."""

    place: HelmRelease

    def start(self, *objects: dict[str, Any]) -> None:
        """Make objects in the stage's namespace, and wait for pods among them."""
        items = json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
        self.place.kubectl("apply", "--server-side", "--filename=-", stdin=items)
        for item in objects:
            if item["kind"] == "Pod":
                self.place.kubectl("wait", "--for=condition=Ready", f"pod/{item['metadata']['name']}", "--timeout=180s")

    def remove(self, *names: str) -> None:
        """Remove objects by KIND/NAME, and wait until they are gone."""
        self.place.kubectl("delete", "--ignore-not-found", "--timeout=120s", *names)

    def run(self, *command: str, stdin: str | None = None) -> str:
        """What a program prints in the pod."""
        flag = ["--stdin"] if stdin else []
        return self.place.kubectl("exec", *flag, self.place.name, "--", *command, stdin=stdin)

    def copy(self, source: Path, target: str) -> None:
        """Copy a file or folder of this machine into the pod."""
        self.place.kubectl("cp", "--no-preserve", str(source), f"{self.place.name}:{target}")


def cpu_model() -> str:
    """The name on Hugging Face of the model in values/cpu.yaml."""
    uri: str = yaml.safe_load((ROOT / "values" / "cpu.yaml").read_text(encoding="utf-8"))["model"]["uri"]
    return uri.removeprefix("hf://")


@contextmanager
def client(release: HelmRelease, service: str = "") -> Iterator[httpx.Client]:
    """A client of a release's Service that speaks HTTP, or of another one in its namespace."""
    with (
        release.forward(f"service/{service or release.name}", 80) as address,
        httpx.Client(base_url=f"http://{address}", timeout=120) as connection,
    ):
        yield connection


def names(api: httpx.Client) -> set[str]:
    """The names that a server serves."""
    return {model["id"] for model in api.get("/v1/models").raise_for_status().json()["data"]}


def ask(api: httpx.Client, model: str) -> str:
    """A server's most likely answer to QUESTION."""
    body = QUESTION | {"model": model, "temperature": 0}
    (choice,) = api.post("/v1/chat/completions", json=body).raise_for_status().json()["choices"]
    assert choice["finish_reason"] in ("stop", "length")
    return str(choice["message"]["content"])


def nothing_lost(report: Report, known: str = "") -> None:
    """Fail unless clients asked on both kinds of connections, and each request was answered whole.

    Args:
        report: what clients saw.
        known: words of the one failure that may come.
    """
    for mode in MODES:
        assert report.requests(mode), f"no request was made on {mode} connections"
    lost = [text for text in report.failures() if not known or known not in text]
    assert not lost, "\n".join(lost)
    assert len(report.failures()) <= 1, "\n".join(report.failures())


def exposures() -> dict[str, Any]:
    """Values with every way to a server and every way to look into it, as far as this cluster has an API for it."""
    values: dict[str, Any] = {
        "ingress": {"enabled": True, "hosts": {"llm.example.com": {}}},
        # clients of the published port come from the nodes' addresses
        "networkPolicy": {"enabled": True, "from": [{"podSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]},
        "metrics": {
            "scrapeAnnotations": {"enabled": True},
            "rules": {"enabled": True, "kind": "ConfigMap"},
            "dashboard": {"enabled": True},
        },
        "podDisruptionBudget": {"enabled": True},
    }
    served = cluster.kubectl("api-versions").split()
    if "gateway.networking.k8s.io/v1" in served:
        values["httpRoute"] = {"enabled": True, "parentRefs": [{"name": "gateway"}]}
    if "inference.networking.k8s.io/v1" in served:
        values["inferencePool"] = {"enabled": True, "endpointPicker": {"name": "picker"}}
    return values
