"""`make cluster-addons`: what some tests need and the demo doesn't wait for."""

from __future__ import annotations

from ci.build import addon_images
from ci.build.addon_images import AddonImage
from scripts import cluster, crds, preload
from scripts.common import ROOT, main
from scripts.progress import step


def metrics_server() -> None:
    """Install metrics-server, so that `kubectl top` and CPU-based autoscalers work."""
    apply(addon_images.METRICS_SERVER)
    with step("Start metrics-server", hint="about 30 s"):
        cluster.kubectl("--namespace=kube-system", "rollout", "status", "deployment/metrics-server", "--timeout=180s")
        cluster.kubectl("wait", "apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available", "--timeout=120s")


def leader_worker_set() -> None:
    """Install LeaderWorkerSet, which keeps the pods of a server of several nodes together; it stays."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=crds.manifest("lws"))
    apply(addon_images.LWS)
    with step("Start LeaderWorkerSet", hint="about 60 s"):
        cluster.kubectl(
            "--namespace=lws-system", "rollout", "status", "deployment/lws-controller-manager", "--timeout=240s"
        )


def apply(*images: AddonImage) -> None:
    """Put images on the nodes, and what ci/addons/NAME.yaml describes on the cluster; NAME is the first image's.

    Args:
        images: stand as @IMAGE@ in the manifest, or @IMAGE:ADDON@ where it has several.
    """
    manifest = (ROOT / "ci" / "addons" / f"{images[0].addon}.yaml").read_text(encoding="utf-8")
    for image in images:
        preload.image(image.name, image.addon)
        manifest = manifest.replace(f"@IMAGE:{image.addon}@", image.name)
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifest.replace("@IMAGE@", images[0].name)
    )


if __name__ == "__main__":
    main(metrics_server)
