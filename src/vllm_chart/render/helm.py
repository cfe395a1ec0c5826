"""Renders a chart with the helm program, and fails on everything that Helm only mutters about."""

from __future__ import annotations

import atexit
import base64
import functools
import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml
from vllm_chart.render.objects import Manifest, Objects

#: The oldest Helm minor that the chart supports.
OLDEST = (3, 17)

#: Kubernetes version that renders are made for, the newest supported one; Helm's default differs by its version.
KUBE_VERSION = "1.37.0"

#: Values: one values file, or values as a map. Later ones win.
Values = Path | Mapping[str, Any]


class HelmError(Exception):
    """Helm refused, or warned. The text is Helm's own; `command` shows it again."""

    def __init__(self, text: str, command: str) -> None:
        super().__init__(f"{text.strip()}\n  see it with: {command}")
        self.text, self.command = text.strip(), command


@dataclass(frozen=True)
class Render:
    """The output of one `helm template`, its objects, and the command that gives it again."""

    text: str
    objects: Objects
    command: str


@functools.cache
def binary() -> str:
    """Return the helm program: $HELM, else the one on PATH. Raises FileNotFoundError where there is none."""
    found = os.environ.get("HELM") or shutil.which("helm")
    if not found:
        raise FileNotFoundError("no helm program: put one on PATH, or name it in the environment variable HELM")
    return found


@functools.cache
def version() -> tuple[int, int, int]:
    """Return the version of the helm program, such as (4, 3, 1); where it doesn't know its patch, that is 0."""
    output = call(["version", "--template", "{{.Version}}"])
    found = re.match(r"v(\d+)\.(\d+)(?:\.(\d+))?", output)
    if not found:
        raise ValueError(f"helm names its version as {output!r}")
    major, minor, patch = (int(number or 0) for number in found.groups())
    return major, minor, patch


@functools.cache
def _environment() -> dict[str, str]:
    """Return an environment without the user's Helm settings and cluster."""
    home = tempfile.mkdtemp(prefix="vllm-chart-helm-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    homes = {f"HELM_{name}_HOME": f"{home}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA")}
    # a render ends before there is garbage worth collecting, which would take a fifth of its time
    memory = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
    return {"PATH": os.environ.get("PATH", ""), "HOME": home, "KUBECONFIG": f"{home}/no-cluster", **homes, **memory}


def call(arguments: Sequence[str], stdin: str = "") -> str:
    """Return what the helm program prints; raises HelmError where it fails or writes to standard error."""
    command = [binary(), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", env=_environment(), check=False)
    if done.returncode or done.stderr.strip():
        raise HelmError(done.stderr or done.stdout, _shown(arguments, stdin))
    return done.stdout


def _shown(arguments: Sequence[str], stdin: str) -> str:
    """Return the command line that does the same in the repository's folder."""
    shown = shlex.join(["helm", *(argument.removeprefix(f"{Path.cwd()}/") for argument in arguments)])
    return f"echo {shlex.quote(stdin)} | {shown}" if stdin else shown


def _named(chart: Path | None) -> Path:
    """Return the chart, ours unless another is named; raises FileNotFoundError where there is none."""
    chart = chart or CHART
    if not (chart / "Chart.yaml").is_file():
        raise FileNotFoundError(f"no chart in the folder {chart}: name one that holds a Chart.yaml, as chart=PATH")
    return chart


def chart_hash(chart: Path) -> str:
    """Return a hash of every file of the chart with its path."""
    files = []
    for folder, _, names in os.walk(chart):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - asked at every render
            about = os.stat(path)  # noqa: PTH116
            files.append((path, about.st_mtime_ns, about.st_size))
    return _hash_of(chart, tuple(sorted(files)))


@functools.lru_cache(maxsize=64)
def _hash_of(chart: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """The hash, taken once as long as no file changes its time or size."""
    total = hashlib.sha256()
    for name, _, _ in files:
        path = Path(name)
        total.update(f"{path.relative_to(chart)}\0".encode())
        total.update(path.read_bytes())
        total.update(b"\0")
    return total.hexdigest()


def render(
    *values: Values,
    chart: Path | None = None,
    release: str = "test",
    namespace: str = "models",
    options: Sequence[str] = (),
    kube_version: str = KUBE_VERSION,
) -> Render:
    """Return a chart, ours unless another is named, rendered offline; at most one of the values is a map.

    Raises HelmError where Helm refuses, warns or writes no strict YAML, FileNotFoundError where the chart is not there.
    """
    chart = _named(chart)
    files = [path for path in values if isinstance(path, Path)]
    maps = [item for item in values if not isinstance(item, Path)]
    if len(maps) > 1:
        raise ValueError("give one map of values, standard input holds one document")
    layers: list[str] = []
    for item in values:
        layers += ["--values", str(item) if isinstance(item, Path) else "-"]
    arguments = ["template", release, str(chart), "--namespace", namespace, "--kube-version", kube_version]
    # Helm reads no pair of surrogates, as which json would write an emoji
    stdin = json.dumps(maps[0], ensure_ascii=False) if maps else ""
    command = (*arguments, *layers, *options)
    # a chart and values files are known by their content, as tests make copies of them
    places = {str(chart), *map(str, files)}
    words = json.dumps([word for word in command if word not in places]).replace(f"{Path.cwd()}/", "")
    key = hashlib.sha256(b"\0".join([words.encode(), *(path.read_bytes() for path in files)])).hexdigest()
    return _render(command, stdin, key + chart_hash(chart))


@functools.lru_cache(maxsize=512)
def _render(arguments: tuple[str, ...], stdin: str, key: str) -> Render:
    """One render for each content of what Helm reads, which is in the key."""
    text, command = _kept(arguments, stdin, key), _shown(arguments, stdin)
    try:
        return Render(text, _objects(text), command)
    except yaml.YAMLError as error:
        raise HelmError(f"Error: YAML parse error in what Helm writes: {go_yaml.problem(error)}", command) from None


def _objects(text: str) -> Objects:
    """The objects in a render; kept as JSON, which is read eight times faster, where renders are kept."""
    if not os.environ.get("VLLM_CHART_RENDERS"):
        return Objects.parse(text)

    def documents() -> str:
        found = [[item.source, item.body] for item in Objects.parse(text)]
        written = json.dumps(found)
        return written if json.loads(written) == found else "null"  # as of a key that is a number

    kept = json.loads(_kept((), text, f"objects {_reader()}", documents))
    return Objects.parse(text) if kept is None else Objects(Manifest(source, body) for source, body in kept)


@functools.cache
def _reader() -> str:
    """A hash of what reads renders."""
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("go_yaml.py", "objects.py")]
    return hashlib.sha256(b"\0".join([yaml.__version__.encode(), *sources])).hexdigest()


def _kept(arguments: tuple[str, ...], stdin: str, key: str, ask: Callable[[], str] | None = None) -> str:
    """Helm's output or refusal; kept in the folder $VLLM_CHART_RENDERS, if set, for later runs and other workers."""
    folder = os.environ.get("VLLM_CHART_RENDERS")
    ask = ask or functools.partial(call, arguments, stdin)
    if not folder:
        return ask()
    program = Path(binary()).stat()
    name = hashlib.sha256(json.dumps([stdin, key, program.st_size, program.st_mtime_ns]).encode()).hexdigest()
    file = Path(folder) / name
    if not file.exists():
        try:
            outcome = {"output": ask()}
        except HelmError as error:
            outcome = {"refusal": error.text}
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(outcome), encoding="utf-8")
        scratch.replace(file)
    outcome = json.loads(file.read_text(encoding="utf-8"))
    if "refusal" in outcome:
        raise HelmError(outcome["refusal"], _shown(arguments, stdin))
    return str(outcome["output"])


def lint(values: Path, chart: Path | None = None) -> str:
    """Return what `helm lint --strict` says of a chart, ours unless another is named; or raises HelmError."""
    chart = _named(chart)
    arguments = ("lint", str(chart), "--strict", "--kube-version", KUBE_VERSION, "--values", str(values))
    key = f"lint {hashlib.sha256(values.read_bytes()).hexdigest()} {KUBE_VERSION} {chart_hash(chart)}"
    return _kept(arguments, "", key)


def release_size(values: Path, chart: Path | None = None) -> int:
    """Return how many bytes of a Secret Helm fills with a release of a chart, ours unless another is named."""
    chart = _named(chart)
    arguments = ("install", "test", str(chart), "--values", str(values), "--dry-run=client", "--output=json")

    def size() -> str:
        release = json.dumps(json.loads(call(arguments)), separators=(",", ":"))
        return str(len(base64.b64encode(gzip.compress(release.encode(), 9))))

    return int(
        _kept(arguments, "", f"size {hashlib.sha256(values.read_bytes()).hexdigest()} {chart_hash(chart)}", size)
    )


def lint_log(values: Values, chart: Path, kube_version: str = KUBE_VERSION) -> str:
    """Return all that `helm lint` writes of a chart with values; what templates `fail` with is in it, and no end.

    It is kept like a render. Raises FileNotFoundError where the chart is not there.
    """
    given = values.read_text(encoding="utf-8") if isinstance(values, Path) else json.dumps(values, ensure_ascii=False)
    chart = _named(chart)
    return kept_log(["lint", str(chart), "--kube-version", kube_version, "--values", "-"], given, kube_version, chart)


def kept_log(arguments: Sequence[str], stdin: str, key: str, chart: Path) -> str:
    """Return all that Helm writes, whether it fails or not, kept like a render under a key and the chart's content."""

    def log() -> str:
        command = [binary(), *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, encoding="utf-8", env=_environment(), check=False
        )
        return done.stdout + done.stderr

    return _kept(tuple(arguments), stdin, f"log {key} {chart_hash(chart)}", log)


def notes(*values: Values, chart: Path | None = None, release: str = "test", namespace: str = "models") -> str:
    """Return the text that Helm prints after an install: NOTES.txt, which `helm template` does not show.

    A copy of the chart carries it in an object, as Helm 3 wants a cluster before it prints notes.
    """
    with tempfile.TemporaryDirectory() as folder:
        chart = _named(chart)
        copy = Path(shutil.copytree(chart, Path(folder) / chart.name))
        templates = copy / "templates"
        text = (templates / "NOTES.txt").read_text(encoding="utf-8")
        (templates / "NOTES.txt").unlink()
        (templates / "_notes.tpl").write_text(f'{{{{- define "notes" }}}}{text}{{{{ end }}}}', encoding="utf-8")
        carrier = (
            '{"apiVersion": "v1", "kind": "Notes", "metadata": {"name": "n"}, "text": {{ include "notes" . | toJson }}}'
        )
        (templates / "notes.yaml").write_text(carrier, encoding="utf-8")
        rendered = render(*values, chart=copy, release=release, namespace=namespace)
        return str(rendered.objects.one("Notes").at("text"))
