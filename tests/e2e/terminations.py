"""How pods end."""

from __future__ import annotations

import threading
import time

from kubernetes import client, config, watch
from urllib3.exceptions import ProtocolError

from ci.helm_release import HelmRelease


class PodTerminations:
    """Watches pods end: how their server ended, and when they were gone.

    Attributes:
        exit_codes: of each pod's server, by the pod's name.
        deleted: clock time at which each pod was told to go.
        gone: clock time at which each pod was gone.
    """

    def __init__(self, kubeconfig: str, release: HelmRelease) -> None:
        self.exit_codes: dict[str, int] = {}
        self.deleted: dict[str, float] = {}
        self.gone: dict[str, float] = {}
        self._core = client.CoreV1Api(config.new_client_from_config(kubeconfig))
        self._release = release
        self._watch = watch.Watch()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> PodTerminations:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._watch.stop()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._follow()
            except ProtocolError:  # as `stop` cuts the answer, and as the API server does now and then
                continue

    def _follow(self) -> None:
        selector = f"app.kubernetes.io/instance={self._release.name}"
        pods = self._core.list_namespaced_pod
        for event in self._watch.stream(pods, self._release.namespace, label_selector=selector):
            self.see(event["type"], event["object"])

    def see(self, event: str, pod: client.V1Pod) -> None:
        """Take note of a change of a pod, which is ADDED, MODIFIED or DELETED."""
        if pod.metadata.deletion_timestamp:
            self.deleted.setdefault(pod.metadata.name, time.monotonic())
        for status in pod.status.container_statuses or []:
            ended = status.state.terminated
            if ended and ended.started_at:  # one that was deleted before it ran has a made-up exit code
                self.exit_codes[pod.metadata.name] = ended.exit_code
        if event == "DELETED":
            self.gone[pod.metadata.name] = time.monotonic()
