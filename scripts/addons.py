"""`make cluster-addons`: what some tests need and the demo doesn't wait for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

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


@contextmanager
def contour() -> Iterator[None]:
    """Contour with Envoy in namespace `projectcontour`, as long as the block takes.

    With it the cluster has the kinds of Gateway API that Contour knows, and InferencePool, which nobody serves.
    """
    projects = ("contour", "gateway-api", "gateway-api-inference-extension")
    kinds = {"GatewayClass", "Gateway", "HTTPRoute", "ReferenceGrant", "InferencePool"}
    found = [d for project in projects for d in yaml.load_all(crds.manifest(project), yaml.CSafeLoader)]
    items = [d for d in found if d["spec"]["group"] == "projectcontour.io" or d["spec"]["names"]["kind"] in kinds]
    for item in items:
        # the API server wants to know who has approved kinds of Kubernetes' own groups
        item["metadata"].setdefault("annotations", {})["api-approved.kubernetes.io"] = "unapproved, made from Go types"
    definitions = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    try:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=definitions)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename=-", stdin=definitions)
        apply(addon_images.CONTOUR, addon_images.ENVOY)
        with step("Start Contour and Envoy", hint="about 20 s"):
            cluster.kubectl("--namespace=projectcontour", "rollout", "status", "deployment/contour", "--timeout=180s")
        yield
    finally:
        remove("contour")
        cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=definitions)


def remove(addon: str) -> None:
    """Remove what ci/addons/NAME.yaml describes."""
    manifest = (ROOT / "ci" / "addons" / f"{addon}.yaml").read_text(encoding="utf-8").replace("@", "")
    # APIs first: a dead one makes every listing of the cluster's resources fail
    ordered = sorted(yaml.safe_load_all(manifest), key=lambda item: item["kind"] != "APIService")
    cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=yaml.safe_dump_all(ordered))


if __name__ == "__main__":
    main(metrics_server)
