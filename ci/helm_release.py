"""Installs the chart on the cluster, waits for vLLM, and gathers what explains a failure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ci import cluster
from vllm_chart.cache import CACHE
from vllm_chart.chart import CHART
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import run

#: values/cpu.yaml is what a user would write; these only let this machine reach the Service on the published port.
#: A NodePort shows all of vLLM's paths, so the chart refuses one unless the check is switched off.
NODE_PORT_VALUES: dict[str, Any] = {
    "service": {"type": "NodePort", "nodePort": cluster.NODE_PORT},
    "checks": {"disabled": {"serviceType": True}},
}
_DEADLINE_SECONDS = 600


@dataclass(frozen=True)
class HelmRelease:
    """A release of the chart on the project's cluster."""

    name: str
    namespace: str
    program: str = "helm"

    def helm(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run Helm in the release's namespace."""
        return run(
            [self.program, f"--kubeconfig={cluster.KUBECONFIG}", f"--namespace={self.namespace}", *arguments],
            stdin=stdin,
        )

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl in the release's namespace."""
        return cluster.kubectl(f"--namespace={self.namespace}", *arguments, stdin=stdin, check=check)

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """`127.0.0.1:PORT` of a port of one pod, as long as that pod exists.

        Args:
            target: a pod, or what has pods, such as `service/vllm`, of which one is taken.
            port: of that target.
        """
        command = ["kubectl", f"--kubeconfig={cluster.KUBECONFIG}", f"--namespace={self.namespace}"]
        command += ["port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
            assert forward.stdout
            # it writes a line for each connection, which somebody has to read
            reader = threading.Thread(target=forward.stdout.read, daemon=True)
            try:
                address = re.search(r"127\.0\.0\.1:\d+", forward.stdout.readline())
                if not address:
                    raise UserError(f"kubectl port-forward to {target} ended.")
                reader.start()
                yield address[0]
            finally:
                forward.terminate()
                if reader.ident:
                    reader.join()

    def create_namespace(self) -> None:
        """Make the namespace, where pods must meet Pod Security "restricted"."""
        levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": levels}}
        cluster.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(namespace))

    def exists(self) -> bool:
        """Return whether the release is deployed."""
        listed = json.loads(self.helm("list", "--filter", f"^{self.name}$", "--deployed", "--output=json"))
        return bool(listed)

    def install(self, files: Sequence[Path], values: dict[str, Any]) -> None:
        """Install or upgrade the chart, without waiting for its pods.

        Args:
            files: values files, the later over the earlier.
            values: laid over all files.
        """
        if json.loads(self.helm("list", "--filter", f"^{self.name}$", "--pending", "--output=json")):
            self.uninstall()  # an interrupted operation, which Helm would wait for
        flags = [word for file in files for word in ("--values", str(file))]
        self.helm("upgrade", "--install", self.name, CHART, *flags, "--values=-", stdin=json.dumps(values))

    def uninstall(self) -> None:
        """Remove the release and wait until its pods are gone."""
        self.helm("uninstall", self.name, "--ignore-not-found", "--wait")
        # Helm waits for its own objects only
        selector = f"--selector=app.kubernetes.io/instance={self.name},app.kubernetes.io/name=vllm"
        self.kubectl("wait", "--for=delete", "pods", selector, f"--timeout={_DEADLINE_SECONDS}s")

    def pods(self) -> list[dict[str, Any]]:
        """The release's pods as the API server has them."""
        selector = f"--selector=app.kubernetes.io/instance={self.name},app.kubernetes.io/name=vllm"
        return list(json.loads(self.kubectl("get", "pods", selector, "--output=json"))["items"])

    def status(self, pod: str) -> dict[str, Any]:
        """The status of a pod's server, as the API server has it."""
        (found,) = json.loads(self.kubectl("get", "pod", pod, "--output=json"))["status"]["containerStatuses"]
        return dict(found)

    def start_seconds(self) -> float:
        """Seconds from the start of the only pod's server to Ready, as the API server has them, in whole seconds."""
        (pod,) = self.pods()
        (ready,) = [c for c in pod["status"]["conditions"] if c["type"] == "Ready"]
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        times = [datetime.fromisoformat(text) for text in (started, ready["lastTransitionTime"])]
        return (times[1] - times[0]).total_seconds()

    def wait(self) -> None:
        """Return when the rollout is complete.

        Raises:
            UserError: after 10 minutes, or as soon as a container has crashed twice; the text names what was gathered.
        """
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            remaining = max(1, int(deadline - time.monotonic()))
            try:
                timeout = f"--timeout={min(5, remaining)}s"
                self.kubectl("rollout", "status", f"deployment/{self.name}", timeout)
                return
            except CommandError:
                restarts = [s["restartCount"] for p in self.pods() for s in p["status"].get("containerStatuses", [])]
                if remaining > 1 and max(restarts, default=0) < 2:
                    continue
            folder = self.collect()
            reason = "its container crashed twice" if max(restarts, default=0) >= 2 else "it isn't ready in 10 minutes"
            raise UserError(f"vLLM doesn't start: {reason}. Describe, events and logs are in {folder}.")

    def settle(self) -> None:
        """Return when the rollout is complete and every pod that it replaced is gone."""
        self.wait()
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while [pod for pod in self.pods() if "deletionTimestamp" in pod["metadata"]]:
            if time.monotonic() > deadline:
                raise UserError(f"A pod doesn't end in 10 minutes: see {self.collect()}.")
            time.sleep(0.5)

    def await_running(self, count: int) -> set[str]:
        """The names of the pods, when so many of them have a server that runs, Ready or not."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            names = {
                pod["metadata"]["name"]
                for pod in self.pods()
                for status in pod["status"].get("containerStatuses", [])
                if "running" in status["state"]
            }
            if len(names) == count:
                return names
            if time.monotonic() > deadline:
                raise UserError(f"{len(names)} of {count} servers run after 10 minutes: see {self.collect()}.")
            time.sleep(0.2)

    def collect(self) -> Path:
        """Write describe, events, logs and manifests to one folder, and return it."""
        folder = Path(os.environ.get("VLLM_CHART_REPORTS") or CACHE / "reports") / time.strftime("%Y%m%d-%H%M%S")
        folder.mkdir(parents=True, exist_ok=True)
        everything = "pods,deployments,replicasets,services,endpointslices,persistentvolumeclaims"
        commands = {
            "describe.txt": ["describe", everything],
            "objects.yaml": ["get", everything, "--output=yaml"],
            "events.txt": ["get", "events", "--sort-by=.lastTimestamp"],
            "nodes.txt": ["describe", "nodes"],
        }
        for pod in self.pods():
            name = pod["metadata"]["name"]
            commands[f"{name}.log"] = ["logs", name, "--all-containers", "--tail=-1"]
            commands[f"{name}.previous.log"] = ["logs", name, "--all-containers", "--tail=-1", "--previous"]
        for file, command in commands.items():
            if text := self.kubectl(*command, check=False):
                (folder / file).write_text(text)
        try:
            (folder / "manifest.yaml").write_text(self.helm("get", "manifest", self.name))
        except CommandError as error:
            (folder / "manifest.yaml").write_text(f"# {error}\n")
        return folder


def base_url() -> str:
    """Where the NodePort is published on this machine."""
    state = cluster.read_state()
    assert state, "the cluster is up"
    return f"http://127.0.0.1:{state.port}"
