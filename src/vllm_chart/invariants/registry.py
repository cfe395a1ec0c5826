"""What must hold for any values, so that the tests of the chart and a check of a user's values ask the same.

Each statement is an `Invariant` in INVARIANTS: what it says, what finds where it does not hold, and what to do then.
What only the chart's author can break is stated in tests/render/test_invariants.py alone.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vllm_chart.chart import CHART, app_version
from vllm_chart.invariants import kubernetes_api, names, pod_security, promql, references, vllm_arguments
from vllm_chart.render import helm
from vllm_chart.render.findings import Finding
from vllm_chart.render.helm import Render
from vllm_chart.render.objects import Container, Objects, Step, containers, nodes, pods

#: For one more render of values of which the schema was asked already: a third of a render's CPU time.
SKIP_SCHEMA = "--skip-schema-validation"

#: Release names as long as Helm takes them, one plain and one that no Service may have.
LONG_NAME = "release" + "-name" * 9 + "s"
UNUSUAL_NAME = "7b.chat" + ".model-v1" * 5 + "s"


@dataclass(frozen=True)
class Subject:
    """Values, merged and as Helm is given them, and how they are rendered."""

    values: Mapping[str, Any]
    layers: tuple[helm.Values, ...]
    chart: Path | None = None
    options: tuple[str, ...] = ()
    kube_version: str = helm.KUBE_VERSION
    minors: tuple[str, ...] = field(default_factory=kubernetes_api.supported)
    #: Kinds of the user's own objects that nobody can look at.
    unknown: frozenset[str] = frozenset()
    release: str = "test"
    namespace: str = "models"

    def render(self, *options: str, release: str = "") -> Render:
        """Return the values' render; a second one costs nothing."""
        return helm.render(
            *self.layers,
            chart=self.chart,
            release=release or self.release,
            namespace=self.namespace,
            options=(*self.options, *options),
            kube_version=self.kube_version,
        )

    def objects(self, *options: str, release: str = "") -> Objects:
        """Return the objects of a render that can be looked at."""
        every = self.render(*options, release=release).objects
        known = (item for item in every if item.of_chart or item.kind not in self.unknown)
        return Objects(item if item.of_chart else item.without_nulls() for item in known)

    @property
    def vllm(self) -> str:
        """The version of vLLM that the chart deploys."""
        return app_version(self.chart or CHART)

    def having(self, values: Mapping[str, Any]) -> Subject:
        """Return the same with other values."""
        return replace(self, values=values, layers=(values,), options=())


#: Errors that an invariant raises where an object lacks what it looks for.
INSPECTION_ERRORS = (LookupError, TypeError, AttributeError, ValueError)


@dataclass(frozen=True)
class Invariant:
    """One statement about any values: what it says, what finds its breaches, and what to do about one."""

    says: str
    findings: Callable[[Subject], Sequence[Finding]]
    instead: Callable[[Finding], str]

    def of(self, subject: Subject) -> tuple[Sequence[Finding], frozenset[str]]:
        """Return the findings, and of which kinds the user's own objects were left out, as they lack what it looks for.

        Raises one of INSPECTION_ERRORS where the chart's own lack it.
        """
        own = frozenset(item.kind for item in subject.objects() if not item.of_chart)
        for kinds in (frozenset(), *(frozenset([kind]) for kind in sorted(own))):
            with contextlib.suppress(*INSPECTION_ERRORS):
                return self.findings(replace(subject, unknown=subject.unknown | kinds)), kinds
        return self.findings(replace(subject, unknown=subject.unknown | own)), own


def servers(objects: Objects) -> Iterator[Container]:
    """Every container in which vLLM runs."""
    for workload in objects.servers():
        for container in containers(workload):
            if container.body["name"] == "vllm" and workload.of_chart:
                yield container


def kubernetes(subject: Subject) -> list[Finding]:
    """What API servers of the oldest and the newest Kubernetes would refuse or drop."""
    return [finding for minor in subject.minors for finding in kubernetes_api.findings(subject.objects(), minor)]


def restricted(subject: Subject) -> list[Finding]:
    """What Pod Security "restricted" refuses."""
    return pod_security.findings(subject.objects())


def arguments(subject: Subject) -> list[Finding]:
    """What vLLM's parser refuses; engine.extraArgs are only looked at where the image is the chart's own vLLM."""
    given = (subject.values.get("engine") or {}).get("extraArgs") or []
    raw = [item if isinstance(item, str) else json.dumps(item) for item in given]
    found = []
    for server in servers(subject.objects()):
        words = vllm_arguments.arguments(server)
        path = (*server.path, "args")
        if words[len(words) - len(raw) :] != raw:
            found.append(Finding(server.manifest, path, "engine.extraArgs are not the last arguments"))
        elif not server.body["image"].endswith(f":v{subject.vllm}"):
            words = words[: len(words) - len(raw)]
        found += [Finding(server.manifest, path, text) for text in vllm_arguments.parser(subject.vllm).problems(words)]
    return found


def queries(subject: Subject) -> list[Finding]:
    """What reads metrics that nobody exposes."""
    return promql.findings(subject.objects(), subject.vllm)


def dangling_references(subject: Subject) -> list[Finding]:
    """Names of objects, ports and volumes that are not there, and selectors that pick none or several."""
    return references.findings(subject.objects(), references.declared_external(subject.values))


def repetitions(subject: Subject) -> list[Finding]:
    """What is given twice."""
    return references.repetitions(subject.objects())


#: A number as Go's templates print a large one that came from a file, as 1.048576e+06.
_LOST = re.compile(r"(?<![\w.])\d(?:\.\d+)?e\+\d\d(?!\w)")


def numbers(subject: Subject) -> list[Finding]:
    """Whole numbers that a template wrote as 1.048576e+06; texts that the user wrote so are left alone."""
    given = json.dumps(subject.values)
    found = []
    for manifest in subject.objects():
        for path, leaf in leaves(manifest.body):
            lost = _LOST.findall(leaf) if isinstance(leaf, str) else []
            if any(number not in given for number in lost) or (isinstance(leaf, float) and leaf.is_integer()):
                found.append(Finding(manifest, path, f"a number has lost its form: {lost[0] if lost else leaf}"))
    return found


def leaves(value: Any) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Every value in an object that is no map and no list, with the path to it."""
    return ((path, inner) for path, inner in nodes(value) if not isinstance(inner, dict | list))


def start_and_stop(subject: Subject) -> list[Finding]:
    """What keeps a server from starting and stopping as vLLM needs."""
    found = []
    for server in servers(subject.objects()):
        manifest, body = server.manifest, server.body
        writable = {mount["mountPath"] for mount in body["volumeMounts"] if not mount.get("readOnly")}
        environment = {item["name"]: item.get("value") for item in body["env"]}
        for path in ("/tmp", "/dev/shm", environment.get("HOME")):  # noqa: S108
            if path not in writable:
                found.append(Finding(manifest, (*server.path, "volumeMounts"), f"the server can't write to {path}"))
        for name in ("USER", "LOGNAME", "HF_HOME", "VLLM_CACHE_ROOT"):
            if name not in environment:
                found.append(Finding(manifest, (*server.path, "env"), f"{name} is not set"))
        if body.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            found.append(Finding(manifest, (*server.path, "terminationMessagePolicy"), "must show the end of the log"))
        if body["image"].endswith(":latest"):
            found.append(Finding(manifest, (*server.path, "image"), f"{body['image']} may be another one tomorrow"))
    for pod in (pod for item in subject.objects().servers() if item.of_chart for pod in pods(item)):
        for key in ("enableServiceLinks", "automountServiceAccountToken"):
            if pod.spec.get(key) is not False:
                found.append(Finding(pod.manifest, (*pod.path, key), "must be false"))
    if not list(servers(subject.objects())):
        found.append(Finding(next(iter(subject.objects())), (), "no container of the chart is vllm"))
    return found


def unstable_renders(subject: Subject) -> list[Finding]:
    """What differs between an install and an upgrade, or between two renders, as what is drawn by lot."""
    once, again = subject.objects(), subject.objects("--is-upgrade")
    missing = {(item.kind, item.name) for item in once} ^ {(item.kind, item.name) for item in again}
    found = [
        Finding(item, (), "is only in one of two renders")
        for objects in (once, again)
        for item in objects
        if (item.kind, item.name) in missing
    ]
    if not found:
        for one, other in zip(once, again, strict=True):
            if one.body != other.body:
                before, after = dict(leaves(one.body)), dict(leaves(other.body))
                path = next((path for path in before if before[path] != after.get(path)), ())
                found.append(Finding(one, path, "differs between two renders"))
    return found


def legal_names(subject: Subject) -> list[Finding]:
    """Names and labels that Kubernetes refuses."""
    return names.findings(subject.objects())


def names_of_any_release(subject: Subject) -> list[Finding]:
    """Names and labels that Kubernetes refuses only for long or unusual release names."""
    known = {(finding.path, finding.text) for finding in legal_names(subject)}
    return [
        replace(finding, text=f"{finding.text} (release {release})")
        for release in (LONG_NAME, UNUSUAL_NAME)
        for finding in names.findings(subject.objects(SKIP_SCHEMA, release=release))
        if (finding.path, finding.text) not in known
    ]


def _explain(finding: Finding) -> str:
    fields = [str(step) for step in finding.path if isinstance(step, str)]
    return f"write it as `kubectl explain {'.'.join([finding.manifest.kind.lower(), *fields])}` says"


def _flag(finding: Finding) -> str:
    unknown = re.search(r"has no flag (\S+)", finding.text)
    if unknown is None:
        return "write it in engine.args, where the schema knows each flag"
    version = re.search(r"vLLM (\S+) has", finding.text)
    near = vllm_arguments.parser(version[1]).near(unknown[1]) if version else ""
    return f"write {near}" if near else "leave it out, or set image.tag to the newer vLLM that has it"


#: A statement of each kind, by a short name.
INVARIANTS: dict[str, Invariant] = {
    "kubernetes": Invariant("Kubernetes takes every object", kubernetes, _explain),
    "restricted": Invariant(
        'pods meet the Pod Security Standard "restricted"',
        restricted,
        lambda _: "leave it out, or write what the sentence asks for",
    ),
    "arguments": Invariant("vLLM takes every argument", arguments, _flag),
    "queries": Invariant("every query reads what is there", queries, lambda _: "write a name that /metrics lists"),
    "references": Invariant(
        "every name leads somewhere",
        dangling_references,
        lambda _: "write a name that is there, or add what it names",
    ),
    "repetitions": Invariant("nothing is given twice", repetitions, lambda _: "leave one of them out"),
    "numbers": Invariant("no number loses its form", numbers, lambda _: "write it in quotation marks"),
    "names": Invariant(
        "every name and label is one that Kubernetes takes",
        legal_names,
        lambda _: "write up to 63 letters, digits, dashes, dots and underscores, a letter or digit at both ends",
    ),
    "releaseNames": Invariant(
        "names and labels are valid for long or unusual release names",
        names_of_any_release,
        lambda _: "write a shorter one, with letters, digits and dashes",
    ),
    "startAndStop": Invariant(
        "a server can start and stop as vLLM needs",
        start_and_stop,
        lambda _: "leave it to the chart: take it out of podSpec",
    ),
    "again": Invariant(
        "an upgrade renders like an install",
        unstable_renders,
        lambda _: "leave out what is drawn by lot or read from the clock",
    ),
}
