"""`make cluster-addons`: what some tests need and the demo doesn't wait for."""

from __future__ import annotations

from ci.build import metrics_server_image
from scripts import cluster, preload
from scripts.common import ROOT, main
from scripts.progress import step


def metrics_server() -> None:
    """Install metrics-server, so that `kubectl top` and CPU-based autoscalers work."""
    preload.image(metrics_server_image.NAME, "metrics-server")
    manifest = (
        (ROOT / "ci" / "addons" / "metrics-server.yaml").read_text().replace("@IMAGE@", metrics_server_image.NAME)
    )
    with step("Start metrics-server", hint="about 30 s"):
        cluster.kubectl("apply", "--server-side", "--filename=-", stdin=manifest)
        cluster.kubectl("--namespace=kube-system", "rollout", "status", "deployment/metrics-server", "--timeout=180s")
        cluster.kubectl("wait", "apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available", "--timeout=120s")


if __name__ == "__main__":
    main(metrics_server)
