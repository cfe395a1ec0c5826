"""Makes CustomResourceDefinitions from the Go types of their projects.

Each project makes its definitions with controller-gen from its own Go module; here the same program reads the same
module, in the version that ci/versions.toml names.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ci import go_programs
from ci.common import VERSIONS, product, scratch_folder
from vllm_chart.cache import CACHE
from vllm_chart.process import run
from vllm_chart.progress import step
from vllm_chart.render import go_yaml

Schema = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Where some custom resources come from.

    Attributes:
        project: key of `[custom-resources]` or `[addons]` in ci/versions.toml.
        module: path of the Go module.
        package: the Go package in it that has the types.
        kinds: what is taken of it.
        options: of controller-gen's generator `crd`, as the project itself gives them.
    """

    project: str
    module: str
    package: str
    kinds: tuple[str, ...]
    options: str = ""

    @property
    def version(self) -> str:
        """The module's version without a leading v."""
        return str({**VERSIONS["addons"], **VERSIONS["custom-resources"]}[self.project])


SOURCES = (
    Source(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring",
        "./v1",
        ("PodMonitor", "PrometheusRule", "ServiceMonitor"),
    ),
    Source(
        "keda",
        "github.com/kedacore/keda/v2",
        "./apis/...",
        ("ScaledObject", "TriggerAuthentication"),
        "generateEmbeddedObjectMeta=true",
    ),
    Source("gateway-api", "sigs.k8s.io/gateway-api", "./apis/...", ("HTTPRoute",)),
    Source(
        "gateway-api-inference-extension",
        "sigs.k8s.io/gateway-api-inference-extension",
        "./api/v1",
        ("InferencePool",),
    ),
    Source(
        "lws",
        "sigs.k8s.io/lws",
        "./api/leaderworkerset/v1",
        ("LeaderWorkerSet",),
        "generateEmbeddedObjectMeta=true",
    ),
    Source("argo-cd", "github.com/argoproj/argo-cd/v3", "./pkg/apis/application/v1alpha1", ("Application",)),
    Source("flux-helm-controller", "github.com/fluxcd/helm-controller/api", "./v2", ("HelmRelease",)),
    Source("flux-source-controller", "github.com/fluxcd/source-controller/api", "./v1", ("OCIRepository",)),
)


#: What only add-ons need, on the cluster.
ADDONS = (Source("contour", "github.com/projectcontour/contour", "./apis/...", ()),)


def definitions(source: Source, controller_gen: Path) -> Iterator[tuple[str, Schema]]:
    """Kind and CustomResourceDefinition of everything that controller-gen finds in a source."""
    environment = go_programs.go_environment() | {"GOWORK": "off"}  # a workspace names folders that its module lacks
    answer = run(["go", "mod", "download", "-json", f"{source.module}@v{source.version}"], env=environment)
    with scratch_folder(CACHE / "crds") as folder:
        module = shutil.copytree(json.loads(answer)["Dir"], folder / "module")
        generator = ":".join(filter(None, ["crd", source.options]))
        output = f"output:crd:dir={folder / 'crds'}"
        run([controller_gen, generator, f"paths={source.package}", output], cwd=module, env=environment)
        for path in (folder / "crds").iterdir():
            definition = go_yaml.load(path.read_text(encoding="utf-8"))
            yield definition["spec"]["names"]["kind"], definition


def manifest(project: str) -> str:
    """The definitions of a project's custom resources, to apply to a cluster; made when they aren't in the cache."""
    (source,) = [source for source in (*SOURCES, *ADDONS) if source.project == project]
    target = CACHE / "custom-resources" / f"{project}-{source.version}.yaml"
    if not target.exists():
        controller_gen = go_programs.CONTROLLER_GEN.build() / "controller-gen"
        with step(f"Make the custom resources of {project} {source.version}", hint="1 min"), product(target) as file:
            made = [definition for _, definition in definitions(source, controller_gen)]
            file.write_text(yaml.safe_dump_all(made), encoding="utf-8")
    return target.read_text(encoding="utf-8")
