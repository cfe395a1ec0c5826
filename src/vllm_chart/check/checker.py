"""Checks a user's values files against all that the chart promises, and says of each finding what to write instead."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vllm_chart.chart import CHART, DATA, app_version
from vllm_chart.check.attribution import Attribution, Found, ValuesPath, plain
from vllm_chart.check.helm_errors import HelmProblem, parse_helm_errors
from vllm_chart.invariants import kubernetes_api
from vllm_chart.invariants.registry import INSPECTION_ERRORS, INVARIANTS, Subject
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.findings import Finding
from vllm_chart.render.helm import HelmError

#: Largest values file in bytes: a release with its values is one Secret, and that holds one MiB.
LARGEST = 2**20

#: Deepest nesting of a values file that is read, as the library for YAML ends the whole program beyond some.
DEEPEST = 100

#: A chart that shows its values as Helm merges them from files and --set.
_MERGED = '{"apiVersion": "v1", "kind": "Values", "metadata": {"name": "values"}, "values": {{ toRawJson .Values }}}'


class CannotCheckError(Exception):
    """Nothing can be said of the values. The text says in a sentence what is in the way and what to do."""


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong with the values: where, what, what to write instead, and the check that says so."""

    check: str
    path: str
    wrong: str
    instead: str

    def __str__(self) -> str:
        return " — ".join(part for part in (self.path, self.wrong, self.instead) if part)


@dataclass(frozen=True)
class Report:
    """What a check found: the complaints, the checks that were made, and what they did not look at."""

    complaints: tuple[Complaint, ...]
    checks: Mapping[str, str]
    left_out: tuple[str, ...]
    versions: str
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
    """Return what is wrong with values files, of which later ones win, and with values of `--set`.

    Raises:
        CannotCheckError: where a file can't be read, or the chart or Helm is missing or too old.
    """
    for file in files:
        _read(file)
    chart = _chart(chart)
    _need_helm()
    minor = ".".join(kube_version.lstrip("v").split(".")[:2]) if kube_version else ""
    if minor and minor not in kubernetes_api.known():
        raise CannotCheckError(
            f"Of Kubernetes {minor} this harness knows nothing: name one of {', '.join(kubernetes_api.known())}."
        )
    options = tuple(word for item in sets for word in ("--set", item))
    values = _merged(files, options)
    layers: tuple[helm.Values, ...] = tuple(files) or ({},)
    minors: tuple[str, ...] = (minor,) if minor else kubernetes_api.SUPPORTED
    subject = Subject(values, layers, chart, options, kube_version or helm.KUBE_VERSION, minors)
    shown = ".".join(map(str, helm.version()))
    version = f"vLLM {subject.vllm}, Helm {shown}, Kubernetes {' and '.join(minors)}"
    try:
        rendered = subject.render()
    except HelmError as error:
        found = tuple(_refused(error, subject, chart))
        unseen = ("what the values would make, as Helm refuses them",)
        return Report(found, _BEFORE, unseen, version, error.command)
    complaints, left_out = _complaints(subject)
    checks = _BEFORE | {name: item.says for name, item in INVARIANTS.items()}
    return Report(complaints, checks, left_out, version, rendered.command)


# -- what must be there


def _read(file: Path) -> None:
    """Raise CannotCheckError unless a values file can be read, and read in one way only."""
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise CannotCheckError(
                f"{file} has {size / LARGEST:.1f} MiB, and a release with its values has room for one: "
                "put large texts into a ConfigMap of your own, and mount that with extraVolumes."
            )
        raw = file.read_bytes()
    except FileNotFoundError:
        raise CannotCheckError(f"{file} does not exist: name a values file that does.") from None
    except IsADirectoryError:
        raise CannotCheckError(f"{file} is a folder: name a values file in it.") from None
    except OSError as error:
        raise CannotCheckError(f"{file} can't be read ({error.strerror}): make it readable.") from None
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise CannotCheckError(f"{file} begins with a byte order mark: save it as plain UTF-8 without one.")
    try:
        if go_yaml.depth(raw.decode("utf-8")) > DEEPEST:
            raise CannotCheckError(f"{file} is nested more than {DEEPEST} deep: write it flatter.")
        values = go_yaml.load(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CannotCheckError(f"{file}, line {line}, is not UTF-8: save it as plain UTF-8.") from None
    except go_yaml.DuplicateKeyError as error:
        raise CannotCheckError(f"{file}{_line(error)}: {go_yaml.problem(error)}: leave one of them out.") from None
    except yaml.YAMLError as error:
        raise CannotCheckError(_malformed(file, raw, error)) from None
    if values is None:
        raise CannotCheckError(f"{file} holds no values: write some, or {{}} to check the chart's defaults.")
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else "a single value"
        raise CannotCheckError(f"{file} holds {kind}: write a map, as replicas: 2.")


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _malformed(file: Path, raw: bytes, error: yaml.YAMLError) -> str:
    """Say why a file is no YAML, where it is for a reason that people meet often."""
    mark = getattr(error, "problem_mark", None)
    lines = raw.decode("utf-8").splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    place = f"{file}{_line(error)}"
    if line[: len(line) - len(line.lstrip())].count("\t") or "\\t" in str(error):
        return f"{place}, is indented with a tab, which YAML does not take: write spaces."
    if "expected a single document" in str(error):
        return f"{place}: a second document begins, and a values file is one: take out the line ---."
    if "{{" in line:
        return f"{place}, begins a value with braces, and a values file is no template: put it in quotation marks."
    return f"{place}, is no YAML ({go_yaml.problem(error)}): look at this line and the one above."


def _chart(chart: Path | None) -> Path:
    chart = chart or CHART
    if chart.is_file():
        raise CannotCheckError(f"{chart} is a file: unpack it (tar -xzf), and name the folder with Chart.yaml.")
    if not (chart / "Chart.yaml").is_file():
        raise CannotCheckError(f"There is no chart in {chart}: name the folder with Chart.yaml by --chart.")
    version = app_version(chart)
    known = sorted(path.stem.rpartition("-")[2] for path in DATA.glob("vllm-serve-args-*.json"))
    if version not in known:
        raise CannotCheckError(
            f"The chart in {chart} deploys vLLM {version}, and this harness knows {', '.join(known)}: "
            "install the harness of the chart's own version."
        )
    return chart


def _need_helm() -> None:
    try:
        version = helm.version()
    except FileNotFoundError:
        raise CannotCheckError(
            "There is no Helm: install it (https://helm.sh/docs/intro/install), put it on PATH, "
            "or name it in the environment variable HELM."
        ) from None
    except (OSError, ValueError, HelmError):
        raise CannotCheckError(f"{helm.binary()} does not answer as Helm does: put a Helm on PATH.") from None
    if version[:2] < helm.OLDEST:
        oldest = ".".join(map(str, helm.OLDEST))
        shown = ".".join(map(str, version))
        raise CannotCheckError(f"{helm.binary()} is Helm {shown}, and the chart needs {oldest} or newer: update it.")


def _merged(files: Sequence[Path], options: Sequence[str]) -> dict[str, Any]:
    """Return the values as Helm merges them."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder)
        (chart / "Chart.yaml").write_text("{apiVersion: v2, name: values, version: 0.0.0}", encoding="utf-8")
        (chart / "templates").mkdir()
        (chart / "templates" / "values.yaml").write_text(_MERGED, encoding="utf-8")
        try:
            shown = helm.render(*files, chart=chart, options=tuple(options)).objects.one("Values").at("values")
        except HelmError as error:
            raise CannotCheckError(f"Helm can't read the values: {error.text.removeprefix('Error: ')}.") from None
    values: dict[str, Any] = shown
    return values


# -- what Helm refuses


def _refused(error: HelmError, subject: Subject, chart: Path) -> Iterator[Complaint]:
    file = chart / "values.schema.json"
    schema = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    found = parse_helm_errors(error.text, schema)
    nulls = any(problem.place == "x-null" for problem in found)
    for problem in found:
        if problem.place == "x-null":
            continue
        told = problem
        if nulls and problem.wrong == "is missing" and _is_null(subject.values, problem.place):
            told = HelmProblem(problem.place, "is null, and the chart needs it", "leave it out, or give it a value")
        yield Complaint("values", told.place, told.wrong, told.instead)


def _is_null(values: Any, place: str) -> bool:
    for step in place.split("."):
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return values is None


# -- what the values make


def _complaints(subject: Subject) -> tuple[tuple[Complaint, ...], tuple[str, ...]]:
    """Return what every check says of a render, and which objects none could look at."""
    for manifest in subject.render().objects:
        if lacking := _lacks(manifest.body):
            wrong = f"an object in it has no {lacking} that is a text"
            return (Complaint("kubernetes", "extraObjects", wrong, f"write its {lacking}, in quotation marks"),), ()
    strangers = [
        manifest
        for manifest in subject.render().objects
        if not manifest.of_chart and not kubernetes_api.knows(manifest, subject.minors)
    ]
    known = replace(subject, unknown=frozenset(manifest.kind for manifest in strangers))
    found: dict[str, Sequence[Finding]] = {}
    unseen: list[str] = []
    untold: list[Complaint] = []
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
                        Complaint(name, "extraObjects", wrong, f"write what `kubectl explain {kind.lower()}` wants")
                    )
        except INSPECTION_ERRORS as error:
            if any(found.values()):  # which says already what is wrong with the object
                unseen.append(f"whether {item.says}")
                continue
            raise CannotCheckError(
                f"Whether {item.says} can't be told ({type(error).__name__}: {error}): look for a part of an object "
                "that lacks what Kubernetes wants of it, in podSpec."
            ) from None
    unseen += [f"{manifest}: nothing is known of its kind here" for manifest in strangers]
    findings = {Found.of(name, finding) for name, every in found.items() for finding in every}
    causes = Attribution(known, findings, left_out).paths()
    told = [complaint for name, every in found.items() for complaint in _told(name, every, causes)]
    return tuple(dict.fromkeys([*told, *untold])), tuple(unseen)


def _lacks(body: Any) -> str:
    """Return what an object must have to be one, and has not."""
    fields = body if isinstance(body, dict) else {}
    metadata = fields.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    needed = {"kind": fields.get("kind"), "apiVersion": fields.get("apiVersion"), "metadata.name": name}
    return next((field for field, text in needed.items() if not (text and isinstance(text, str))), "")


def _told(name: str, findings: Sequence[Finding], paths: Mapping[Found, ValuesPath]) -> Iterator[Complaint]:
    """The complaints of one check: one for each cause and sentence, however many objects and versions have it."""
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
        yield Complaint(name, ".".join(map(str, key)) or where, wrong, INVARIANTS[name].instead(same[0]))
