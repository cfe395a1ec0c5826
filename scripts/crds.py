"""`make crds`: makes the schemas against which custom resources are checked, from the Go types of their projects.

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

from ci.build import programs
from scripts.common import CACHE, ROOT, VERSIONS, from_yaml, main, product, run, scratch_folder
from scripts.progress import say, step
from scripts.schema import to_text

TARGET = ROOT / "tests" / "harness" / "data" / "custom-resources"

Schema = dict[str, Any]

#: What the tests have no use for. `x-kubernetes-validations` are rules in CEL, which only an API server evaluates.
DROPPED = {"description", "format", "x-kubernetes-map-type", "x-kubernetes-validations"}

#: How gateway-api marks fields that its standard definitions leave out.
EXPERIMENTAL = "<gateway:experimental>"

HEADER = """\
# Schemas of custom resources

The `openAPIV3Schema` of each served version, without descriptions, formats, rules in CEL and the fields of
gateway-api's experimental channel. Written by `make crds`, which runs controller-gen {version} on these Go modules;
their licence, and so that of the files here, is Apache-2.0.

| kind | versions | Go module |
|---|---|---|
"""


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
    environment = programs.go_environment() | {"GOWORK": "off"}  # a workspace names folders that its module lacks
    answer = run(["go", "mod", "download", "-json", f"{source.module}@v{source.version}"], env=environment)
    with scratch_folder(CACHE / "crds") as folder:
        module = shutil.copytree(json.loads(answer)["Dir"], folder / "module")
        generator = ":".join(filter(None, ["crd", source.options]))
        output = f"output:crd:dir={folder / 'crds'}"
        run([controller_gen, generator, f"paths={source.package}", output], cwd=module, env=environment)
        for path in (folder / "crds").iterdir():
            definition = from_yaml(path.read_text(encoding="utf-8"))
            yield definition["spec"]["names"]["kind"], definition


def manifest(project: str) -> str:
    """The definitions of a project's custom resources, to apply to a cluster; made when they aren't in the cache."""
    (source,) = [source for source in (*SOURCES, *ADDONS) if source.project == project]
    target = CACHE / "custom-resources" / f"{project}-{source.version}.yaml"
    if not target.exists():
        controller_gen = programs.CONTROLLER_GEN.build() / "controller-gen"
        with step(f"Make the custom resources of {project} {source.version}", hint="1 min"), product(target) as file:
            made = [definition for _, definition in definitions(source, controller_gen)]
            file.write_text(yaml.safe_dump_all(made), encoding="utf-8")
    return target.read_text(encoding="utf-8")


def trimmed(node: Schema) -> Schema:
    """Return a schema without what is dropped, at any depth; a property may be called like a keyword."""
    kept = {key: value for key, value in node.items() if key not in DROPPED}
    if "properties" in kept:
        kept["properties"] = {
            name: trimmed(inner)
            for name, inner in kept["properties"].items()
            if EXPERIMENTAL not in inner.get("description", "")
        }
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = trimmed(kept[key])
    return kept


def files() -> dict[Path, str]:
    """Return the text of every file that belongs into the folder."""
    controller_gen = programs.CONTROLLER_GEN.build() / "controller-gen"
    texts, rows = {}, []
    for source in SOURCES:
        with step(f"Read {source.project} {source.version}", hint="1 to 3 min"):
            found = dict(definitions(source, controller_gen))
        for kind in source.kinds:
            spec = found[kind]["spec"]
            served = {
                f"{spec['group']}/{version['name']}": trimmed(version["schema"]["openAPIV3Schema"])
                for version in spec["versions"]
                if version["served"]
            }
            texts[TARGET / f"{kind}.json"] = to_text(served) + "\n"
            rows.append(f"| {kind} | {', '.join(served)} | {source.module} v{source.version} |\n")
    header = HEADER.format(version=VERSIONS["custom-resources"]["controller-tools"])
    return {**texts, TARGET / "README.md": header + "".join(sorted(rows))}


def write() -> None:
    """Write what changed, and delete what no source makes any more."""
    wanted = files()
    TARGET.mkdir(exist_ok=True)
    for path in set(TARGET.iterdir()) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    say(f"wrote {len(wanted)} files to {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main(write)
