"""Checks a user's values files against everything that the chart promises, and gives a remedy for each problem."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vllm_chart import user_file
from vllm_chart.chart import CHART
from vllm_chart.check.attribution import Attribution, Found, ValuesPath, plain
from vllm_chart.check.helm_errors import HelmProblem, parse_helm_errors
from vllm_chart.errors import InputError
from vllm_chart.invariants import kubernetes_api
from vllm_chart.invariants.registry import INSPECTION_ERRORS, INVARIANTS, Subject
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.findings import Finding
from vllm_chart.render.helm import HelmError
from vllm_chart.requirements import require_chart, require_helm
from vllm_chart.user_file import label

#: Largest values file in bytes: a release with its values is one Secret, and that holds one MiB.
LARGEST = 2**20

#: Deepest nesting of a values file that is read, as the library for YAML ends the whole program beyond some.
DEEPEST = 100

#: A chart that shows its values as Helm merges them from files and --set.
_MERGED = '{"apiVersion": "v1", "kind": "Values", "metadata": {"name": "values"}, "values": {{ toRawJson .Values }}}'


@dataclass(frozen=True)
class Problem:
    """One problem of the values: the check that found it, where, what, and the remedy."""

    check: str
    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return " — ".join(part for part in (self.path, self.problem, self.remedy) if part)


@dataclass(frozen=True)
class Report:
    """What was found in values: problems, the checks that were made, and what they did not look at.

    Attributes:
        values: the files and `--set` options.
        problems: in the order of the checks.
        checks: a sentence for each check that was made, by name.
        not_checked: what none of them looked at.
        versions: of what the values were checked with, as `vllm` and `kubernetes`.
        command: shows what Helm makes of the values.
    """

    values: tuple[str, ...]
    problems: tuple[Problem, ...]
    checks: Mapping[str, str]
    not_checked: tuple[str, ...]
    versions: Mapping[str, str | Sequence[str]]
    command: str


#: What Helm does before there is a render, under the names of checks.
_BEFORE = {"values": "Helm takes the values: their schema and the chart's named checks"}


def check(
    files: Sequence[Path],
    *,
    chart: Path | None = None,
    sets: Sequence[str] = (),
    kube_version: str | None = None,
) -> Report:
    """Return the problems of values files, of which later ones win, and of values of `--set`.

    Args:
        files: values files; `user_file.STDIN` may be one of them.
        chart: the chart's folder, ours without one.
        sets: `KEY=VALUE`, as Helm takes it.
        kube_version: one Kubernetes instead of the oldest and the newest that the chart supports.

    Raises:
        InputError: if a file cannot be read, or the chart or Helm is missing or too old.
    """
    layers = tuple(map(_layer, files)) or ({},)
    if sum(isinstance(layer, dict) for layer in layers) > 1:
        raise InputError("More than one values file is a pipe. Write all but one to files.")
    chart = require_chart(chart)
    require_helm()
    minors = (_minor(kube_version),) if kube_version else kubernetes_api.supported()
    options = tuple(word for item in sets for word in ("--set", item))
    values = _merged(layers, options)
    subject = Subject(values, layers, chart, options, kube_version or helm.KUBE_VERSION, minors)
    shown = (*map(label, files), *(f"--set {item}" for item in sets))
    versions = {"vllm": subject.vllm, "helm": ".".join(map(str, helm.version())), "kubernetes": list(minors)}
    try:
        rendered = subject.render()
    except HelmError as error:
        found = tuple(_refused(error, subject))
        unseen = ("what the values would make, as Helm refuses them",)
        return Report(shown, found, _BEFORE, unseen, versions, error.command)
    found, left_out = _problems(subject)
    checks = _BEFORE | {name: item.says for name, item in INVARIANTS.items()}
    return Report(shown, found, checks, left_out, versions, rendered.command)


def problems(subject: Subject) -> tuple[Problem, ...]:
    """Return the problems of values, as a report of them has."""
    try:
        subject.render()
    except HelmError as error:
        return tuple(_refused(error, subject))
    return _problems(subject)[0]


# -- what must be there


def _layer(file: Path) -> helm.Values:
    """Return what Helm is given for a values file; raises InputError unless it can be read in one way only."""
    text, name = user_file.read(file, "values file", LARGEST), label(file)
    try:
        if go_yaml.depth(text) > DEEPEST:
            raise InputError(f"{name}: nested more than {DEEPEST} levels deep. Flatten it.")
        values = go_yaml.load(text)
    except go_yaml.DuplicateKeyError as error:
        raise InputError(f"{_place(name, error)}: {go_yaml.problem(error)}. Remove one of them.") from None
    except yaml.YAMLError as error:
        raise InputError(_malformed(name, text, error)) from None
    if values is None:
        raise InputError(f"{name}: no values. Write some, or {{}} to check the chart's defaults.")
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else "a single value"
        raise InputError(f"{name}: is {kind}, not a map. Write keys with values, e.g. replicas: 2.")
    return file if file.is_file() else values  # a pipe is read once


def _place(name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{name}:{mark.line + 1}" if mark else name


def _malformed(name: str, text: str, error: yaml.YAMLError) -> str:
    """Say why a file is no YAML; of frequent mistakes, which."""
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    place = _place(name, error)
    if line[: len(line) - len(line.lstrip())].count("\t") or "\\t" in str(error):
        return f"{place}: indented with a tab. Use spaces."
    if "expected a single document" in str(error):
        return f"{place}: a second document starts. Remove the line ---."
    if "{{" in line:
        return f"{place}: a value starts with braces, and a values file is not a template. Quote the value."
    return f"{place}: invalid YAML ({go_yaml.problem(error)}). Check this line and the one above."


def _minor(kube_version: str) -> str:
    """Return the minor of a version of Kubernetes, such as 1.37; raises InputError if its API is not at hand."""
    found = re.fullmatch(r"v?(\d+\.\d+)(?:\.\d+)?", kube_version)
    if not found or found[1] not in kubernetes_api.known():
        supported = ", ".join(kubernetes_api.known())
        raise InputError(f"Unsupported Kubernetes version {kube_version}. Supported: {supported}.")
    return found[1]


def _merged(layers: Sequence[helm.Values], options: Sequence[str]) -> dict[str, Any]:
    """Return the values as Helm merges them."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder)
        (chart / "Chart.yaml").write_text("{apiVersion: v2, name: values, version: 0.0.0}", encoding="utf-8")
        (chart / "templates").mkdir()
        (chart / "templates" / "values.yaml").write_text(_MERGED, encoding="utf-8")
        try:
            shown = helm.render(*layers, chart=chart, options=tuple(options)).objects.one("Values").at("values")
        except HelmError as error:
            said = error.text.removeprefix("Error: ")
            raise InputError(f"Helm cannot read the values: {said}. Write --set KEY=VALUE as Helm takes it.") from None
    values: dict[str, Any] = shown
    return values


# -- what Helm refuses


def _refused(error: HelmError, subject: Subject) -> Iterator[Problem]:
    file = (subject.chart or CHART) / "values.schema.json"
    schema = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    found = parse_helm_errors(error.text, schema)
    nulls = any(refusal.place == "" and refusal.wrong.startswith("null ") for refusal in found)
    for refusal in found:
        if nulls and refusal.place == "":
            continue
        told = refusal
        if nulls and refusal.wrong == "is missing" and _is_null(subject.values, refusal.place):
            told = HelmProblem(refusal.place, "is null, and the chart needs it", "leave it out, or give it a value")
        yield Problem("values", told.place, told.wrong, told.instead)


def _is_null(values: Any, place: str) -> bool:
    for step in place.split("."):
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return values is None


# -- what the values make


def _problems(subject: Subject) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Return what every check says of a render, and which objects none could look at."""
    for manifest in subject.render().objects:
        if lacking := _lacks(manifest.body):
            wrong = f"an object in it has no {lacking} that is a text"
            return (Problem("kubernetes", "extraObjects", wrong, f"write its {lacking}, in quotation marks"),), ()
    strangers = [
        manifest
        for manifest in subject.render().objects
        if not manifest.of_chart and not kubernetes_api.knows(manifest, subject.minors)
    ]
    known = replace(subject, unknown=frozenset(manifest.kind for manifest in strangers))
    found: dict[str, Sequence[Finding]] = {}
    unseen: list[str] = []
    untold: list[Problem] = []
    left_out: dict[str, frozenset[str]] = {}
    for name, item in INVARIANTS.items():
        try:
            found[name], left_out[name] = item.of(known)
            for kind in sorted(left_out[name]):
                if any(finding.manifest.kind == kind for finding in found["kubernetes"]):  # which says what they lack
                    unseen.append(f"whether {item.says}, of a {kind} in extraObjects")
                else:
                    wrong = f"whether {item.says} can't be told of a {kind} in it"
                    untold.append(
                        Problem(name, "extraObjects", wrong, f"write what `kubectl explain {kind.lower()}` wants")
                    )
        except INSPECTION_ERRORS as error:
            if any(found.values()):  # which already names the problem of the object
                unseen.append(f"whether {item.says}")
                continue
            raise InputError(
                f"podSpec: could not check whether {item.says} ({type(error).__name__}: {error}). "
                "Complete the object that lacks a part which Kubernetes requires."
            ) from None
    unseen += [f"{manifest}: nothing is known of its kind here" for manifest in strangers]
    findings = {Found.of(name, finding) for name, every in found.items() for finding in every}
    causes = Attribution(known, findings, left_out).paths()
    told = [problem for name, every in found.items() for problem in _told(name, every, causes)]
    return tuple(dict.fromkeys([*told, *untold])), tuple(unseen)


def _lacks(body: Any) -> str:
    """Return what an object must have to be one, and has not."""
    fields = body if isinstance(body, dict) else {}
    metadata = fields.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    needed = {"kind": fields.get("kind"), "apiVersion": fields.get("apiVersion"), "metadata.name": name}
    return next((field for field, text in needed.items() if not (text and isinstance(text, str))), "")


def _told(name: str, findings: Sequence[Finding], paths: Mapping[Found, ValuesPath]) -> Iterator[Problem]:
    """The problems of one check: one for each cause and sentence, however many objects and versions have it."""
    causes: dict[tuple[ValuesPath, ValuesPath, str], list[Finding]] = {}
    for finding in {(str(one.manifest), one.path, one.text): one for one in map(plain, findings)}.values():
        key = paths.get(Found.of(name, finding), ())
        causes.setdefault((key, () if key else finding.path, finding.text), []).append(finding)
    for (key, _, text), same in causes.items():
        place = ".".join(map(str, same[0].path))
        where = f"{same[0].manifest} at {place}" if place else str(same[0].manifest)
        if len(same) > 1:
            where = f"{where}, and {len(same) - 1} more"
        wrong = f"{text} ({where})" if key else text
        yield Problem(name, ".".join(map(str, key)) or where, wrong, INVARIANTS[name].instead(same[0]))
