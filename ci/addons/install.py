"""`make cluster-addons`: what some tests need and the demo doesn't wait for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

from ci import cluster, crds, images, load_images
from ci.common import ROOT
from ci.helm_release import HelmRelease
from ci.offline import addon_images
from ci.offline.addon_images import AddonImage
from ci.prometheus import Prometheus
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.progress import step
from vllm_chart.render import go_yaml

MONITORING = HelmRelease("prometheus", "monitoring")
_PATIENCE = "--timeout=180s"
_KUBE_STATE = "kube-state.monitoring:8080"


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
        load_images.image(image.name, image.addon)
        manifest = manifest.replace(f"@IMAGE:{image.addon}@", image.name)
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifest.replace("@IMAGE@", images[0].name)
    )


@contextmanager
def gateway_kinds(*projects: str) -> Iterator[None]:
    """The kinds of Gateway API that Contour knows, and InferencePool, as long as the block takes; nobody serves them.

    Args:
        projects: more of which the kinds are wanted, as of `contour`.
    """
    projects = ("gateway-api", "gateway-api-inference-extension", *projects)
    kinds = {"GatewayClass", "Gateway", "HTTPRoute", "ReferenceGrant", "InferencePool"}
    found = [d for project in projects for d in go_yaml.load_all(crds.manifest(project))]
    items = [d for d in found if d["spec"]["group"] == "projectcontour.io" or d["spec"]["names"]["kind"] in kinds]
    for item in items:
        # the API server wants to know who has approved kinds of Kubernetes' own groups
        item["metadata"].setdefault("annotations", {})["api-approved.kubernetes.io"] = "unapproved, made from Go types"
    definitions = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    try:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=definitions)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename=-", stdin=definitions)
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=definitions)


@contextmanager
def contour() -> Iterator[None]:
    """Contour with Envoy in namespace `projectcontour`, and `gateway_kinds`, as long as the block takes."""
    with gateway_kinds("contour"):
        try:
            apply(addon_images.CONTOUR, addon_images.ENVOY)
            with step("Start Contour and Envoy", hint="about 20 s"):
                cluster.kubectl("--namespace=projectcontour", "rollout", "status", "deployment/contour", _PATIENCE)
            yield
        finally:
            remove("contour")


@contextmanager
def prometheus(releases: Sequence[HelmRelease], jobs: Sequence[dict[str, Any]] = ()) -> Iterator[Prometheus]:
    """A Prometheus and ci/addons/kube_state.py in namespace `monitoring`, as long as the block takes.

    Args:
        releases: what it scrapes and which rules it has, each as ConfigMaps of the release say.
        jobs: further items of scrape_configs.
    """
    own = {"job_name": "prometheus", "static_configs": [{"targets": ["localhost:9090"]}]}
    state = {"job_name": "kube-state", "honor_labels": True, "static_configs": [{"targets": [_KUBE_STATE]}]}
    # this version has no scrape_config_files yet
    brought = [j for r in releases for j in go_yaml.load(_file(r, "scrape-config"))["scrape_configs"]]
    every = [own, state, *jobs, *brought]
    configuration = {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": ["/etc/prometheus/rules-*.yaml"],
        "scrape_configs": [discovered_by_http(job) for job in every] if cluster.use().images == "build" else every,
    }
    files = {f"rules-{r.namespace}-{r.name}.yaml": _file(r, "rules") for r in releases}
    with (
        _configured(addon_images.PROMETHEUS, {"prometheus.yml": yaml.safe_dump(configuration), **files}),
        script("kube_state", 8080, account="prometheus"),
        MONITORING.forward("service/prometheus", 9090) as address,
    ):
        yield Prometheus(f"http://{address}")


def discovered_by_http(job: dict[str, Any]) -> dict[str, Any]:
    """A job for a Prometheus that is built without discovery in Kubernetes, as Debian's is.

    Who finds pods is ci/addons/kube_state.py; all else of the job is as it was, and all of one that finds none.

    Raises:
        UserError: where the job discovers in another way than every pod of named namespaces.
    """
    if "kubernetes_sd_configs" not in job:
        return job
    found = []
    for discovery in job["kubernetes_sd_configs"]:
        names = discovery.get("namespaces", {}).get("names", [])
        if discovery != {"role": "pod", "namespaces": {"names": names}}:
            raise UserError(f"ci/addons/kube_state.py can't discover as job {job['job_name']} wants: {discovery}.")
        found += [{"url": f"http://{_KUBE_STATE}/targets?namespace={n}", "refresh_interval": "5s"} for n in names]
    return {key: value for key, value in job.items() if key != "kubernetes_sd_configs"} | {"http_sd_configs": found}


@contextmanager
def prometheus_adapter(release: HelmRelease) -> Iterator[None]:
    """prometheus-adapter beside `prometheus`, as long as the block takes, with the rules that a release brings."""
    configuration = _file(release, "adapter-config")
    served, other = "custom", "external"
    if "externalRules" in go_yaml.load(configuration):
        served, other = other, served
    with _configured(addon_images.PROMETHEUS_ADAPTER, {"config.yaml": configuration}):
        # the adapter serves only that for which it has rules, and a dead API spoils every listing of resources
        cluster.kubectl("delete", f"apiservice/v1beta1.{other}.metrics.k8s.io")
        _await_api(served)
        yield


@contextmanager
def keda() -> Iterator[None]:
    """KEDA in namespace `keda`, as long as the block takes; a ScaledObject that outlived it could never be deleted."""
    definitions = crds.manifest("keda")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=definitions)
    with _installed(addon_images.KEDA, addon_images.KEDA_ADAPTER):
        # the adapter waits for the certificates of the operator
        for deployment in ("keda-operator", "keda-adapter"):
            cluster.kubectl("--namespace=keda", "rollout", "status", f"deployment/{deployment}", _PATIENCE)
        _await_api("external")
        try:
            yield
        finally:
            cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=definitions)


def _await_api(kind: str) -> None:
    cluster.kubectl("wait", f"apiservice/v1beta1.{kind}.metrics.k8s.io", "--for=condition=Available", _PATIENCE)


def _file(release: HelmRelease, part: str) -> str:
    """The only file in one of a release's ConfigMaps."""
    name = f"configmap/{release.name}-{part}"
    (text,) = json.loads(release.kubectl("get", name, "--output=json"))["data"].values()
    return str(text)


@contextmanager
def _configured(image: AddonImage, files: Mapping[str, str]) -> Iterator[None]:
    """A Deployment of namespace `monitoring`, and the ConfigMap of its name, as long as the block takes."""
    with _installed(image, files=files):
        MONITORING.kubectl("rollout", "status", f"deployment/{image.addon}", _PATIENCE)
        yield


@contextmanager
def _installed(*installed: AddonImage, files: Mapping[str, str] | None = None) -> Iterator[None]:
    """What `apply` makes, as long as the block takes; what is left of an earlier one is removed first."""
    remove(installed[0].addon)
    if files is not None:
        MONITORING.create_namespace()
        meta = {"name": installed[0].addon}
        _apply_to_monitoring({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(files)})
    try:
        apply(*installed)
        yield
    finally:
        remove(installed[0].addon)


def remove(addon: str) -> None:
    """Remove what ci/addons/NAME.yaml describes."""
    manifest = (ROOT / "ci" / "addons" / f"{addon}.yaml").read_text(encoding="utf-8").replace("@", "")
    # APIs first: a dead one makes every listing of the cluster's resources fail
    ordered = sorted(go_yaml.load_all(manifest), key=lambda item: item["kind"] != "APIService")
    cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=yaml.safe_dump_all(ordered))


def _apply_to_monitoring(*objects: dict[str, Any]) -> None:
    MONITORING.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=yaml.safe_dump_all(objects))


@contextmanager
def script(
    name: str, *ports: int, account: str = "default", environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A Service of namespace `monitoring` whose pod runs ci/addons/NAME.py, as long as the block takes.

    Args:
        name: of the file, which needs nothing but the vLLM image, and with dashes for underscores of the Service.
        ports: on which the program listens.
        account: the pod's service account.
        environment: of the program.

    Yields:
        The Service's name.
    """
    text = (ROOT / "ci" / "addons" / f"{name}.py").read_text(encoding="utf-8")
    name = name.replace("_", "-")
    labels, meta = {"app": name}, {"name": name}
    container = {
        "name": "python",
        "image": images.VLLM,  # which the nodes have in any case
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", text],
        "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
        "ports": [{"containerPort": port} for port in ports],
        "readinessProbe": {"tcpSocket": {"port": ports[0]}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "10m", "memory": "50Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod = {
        "serviceAccountName": account,
        "terminationGracePeriodSeconds": 0,  # Python as process 1 takes no notice of TERM
        "securityContext": {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"name": f"p{port}", "port": port} for port in ports]}
    MONITORING.create_namespace()
    _apply_to_monitoring(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
    )
    try:
        MONITORING.kubectl("rollout", "status", f"deployment/{name}", _PATIENCE)
        yield name
    finally:
        MONITORING.kubectl("delete", f"deployment/{name}", f"service/{name}")


if __name__ == "__main__":
    main(metrics_server)
