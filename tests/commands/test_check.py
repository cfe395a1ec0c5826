"""`vllm-chart check`: its findings in a user's values files, and files that it cannot check."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as Xml

import pytest

from tests.lib.command_line import vllm_chart
from vllm_chart.chart import CHART, app_version
from vllm_chart.check import checker, report
from vllm_chart.check.helm_errors import HelmProblem, parse_helm_errors
from vllm_chart.invariants import kubernetes_api
from vllm_chart.invariants.registry import INVARIANTS, Subject
from vllm_chart.render import go_yaml, helm
from vllm_chart.render.findings import Finding

FILES = Path(__file__).parent


@pytest.fixture
def values(tmp_path: Path) -> Path:
    """Where a test writes a user's values."""
    return tmp_path / "my-values.yaml"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code of `vllm-chart check` and all that it prints."""
    code, out, errors = vllm_chart(capsys, "check", *arguments)
    return code, out + errors


# -- findings


def test_values_with_which_nothing_is_wrong_give_one_verdict(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values.write_text("model: {uri: hf://team/model}\n", encoding="utf-8")
    code, text = told(capsys, "-f", str(values))
    assert text.startswith(f"✓ No problems in {values}\n")
    assert f"vLLM {app_version()}" in text
    assert code == 0


#: Values, and the lines that must be said of them.
MINOR = app_version().rpartition(".")[0]
FINDINGS = {
    # the schema
    "replcas: 2": ["replcas — there is no such key — write replicas"],
    "replicas: two": ["replicas — is a string, not an integer — write an integer"],
    "engine: {args: {max-model-length: 4096}}": [
        f"engine.args.max-model-length — no such flag in vLLM {MINOR} — check the spelling"
    ],
    "engine: {args: {swap-space: 4}}": ["engine.args.swap-space — no longer a flag of vLLM — leave it out"],
    "drain: null": ["drain — is null, and the chart needs it — leave it out, or give it a value"],
    "service: {type: Loadbalancer}": ["service.type — is none of the values that there are — write one of ClusterIP"],
    # named checks
    "podSpec: {terminationGracePeriodSeconds: 3}": [
        "podSpec.terminationGracePeriodSeconds — is 3, but the drain takes up to 135 s",
        " — leave it out, it is computed",
    ],
    # what the values make
    "extraVolumes: {host: {hostPath: {path: /}}}": [
        "extraVolumes.host.hostPath — a volume of type hostPath is not allowed (Deployment/test at ",
        "extraVolumes.host.hostPath — no container mounts it",
    ],
    "engine: {extraArgs: [--max-num-seq, 8]}": [
        "engine.extraArgs",
        f"vLLM {app_version()} has no flag --max-num-seq (Deployment/test at",
        "write --max-num-seqs",
    ],
    "extraObjects: {note: {apiVersion: v1, kind: ConfigMap, metadata: {name: note}, datta: {}}}": [
        "extraObjects.note.datta — ",
        "'datta' was unexpected",
        "write it as `kubectl explain configmap` says",
    ],
    "extraObjects: {note: {apiVersion: v1, kind: ConfigMap, metadata: {labels: {a: b}}}}": [
        "extraObjects — an object in it has no metadata.name that is a text — write its metadata.name, in quotation"
    ],
    'commonLabels: {team: "two words"}': ["commonLabels.team — two words is no value of a label"],
    "engine: {envFrom: [{configMapRef: {}}]}": ["engine.envFrom.0.configMapRef.name — is missing — write engine."],
    "extraVolumes: {data: {configMap: {}}}": ["extraVolumes.data.configMap — names no ConfigMap ("],
    "extraObjects: {a: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {}}}": [
        "'containers' is a required property",
        "not checked: whether every name leads somewhere",
    ],
    "podSpec: {enableServiceLinks: true}": ["podSpec.enableServiceLinks — must be false"],
    "extraObjects: {a: {apiVersion: v1, kind: Secret, metadata: {name: '{{ randAlpha 8 }}'}}}": [
        "extraObjects.a — is only in one of two renders"
    ],
    "extraObjects: {a: {apiVersion: v1, kind: Secret, metadata: {name: '{{ fail }}'}}}": ["extraObjects — "],
    # objects of a user's own that are none
    "extraObjects: {a: just a text}": ["extraObjects.a — is a string, not an object — write an object"],
    "extraObjects: {a: null}": ["extraObjects.a — is null, not an object"],
    "extraObjects: [{apiVersion: v1, kind: Pod, metadata: {name: a}}]": ["extraObjects.0 — "],
    "extraObjects: {a: {apiVersion: v1, metadata: {name: a}}}": ["extraObjects.a.kind — is missing"],
    "extraObjects: {a: {apiVersion: v1, kind: '', metadata: {name: a}}}": [
        "extraObjects — an object in it has no kind that is a text"
    ],
    "extraObjects: {a: {apiVersion: v1, kind: Pod, metadata: null}}": [
        "extraObjects — an object in it has no metadata.name that is a text"
    ],
    "extraObjects: {a: {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod}]}}": [
        "extraObjects.a.metadata — is missing"
    ],
    """extraObjects: {a: {apiVersion: v1, kind: Secret, metadata: {name: 'b{{ "\\n  name\\x3a c" }}'}}}""": [
        "YAML parse error in what Helm writes: key given twice: name — look for a text that breaks YAML"
    ],
    "extraObjects: {a: {apiVersion: v1, kind: Pod, metadata: {name: a}}}": [
        "extraObjects.a — 'spec' is a required property (Pod/a)",
        'not checked: whether pods meet the Pod Security Standard "restricted", of a Pod in extraObjects',
    ],
    "extraObjects: {a: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: null}}": [
        "'spec' is a required property"
    ],
    "extraObjects: {a: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [null]}}}": [
        "extraObjects.a.spec.containers.0 — null is no item of a list"
    ],
    "extraObjects: {a: {apiVersion: v1, kind: Service, metadata: {name: a}}}": ["'spec' is a required property"],
    "extraObjects: {a: {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {}}}": [
        "extraObjects.a.spec — 'template' is a required property (Deployment/a at spec)"
    ],
    "extraObjects: {a: {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {}}}}": [
        "extraObjects.a.spec.template — 'spec' is a required property (Deployment/a at spec.template)"
    ],
    "extraObjects: {a: {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: null}}": [
        "'spec' is a required property"
    ],
    "extraObjects: {a: {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}, "
    "spec: {defaultBackend: {service: {name: test}}}}}": [
        "extraObjects.a.spec.defaultBackend.service — 'port' is a required property"
    ],
    "extraObjects: {a: {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a}, "
    "spec: {rules: [{backendRefs: [{}]}]}}}": ["extraObjects.a.spec.rules.0.backendRefs.0 — 'name' is a required"],
    "extraObjects: {a: {apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: [b]}}}": [
        "['b'] is not of type 'object', 'null' (ConfigMap/a at metadata.labels)"
    ],
}


@pytest.mark.parametrize("text", FINDINGS)
def test_what_is_wrong_is_told_with_its_path_and_a_remedy(
    text: str, values: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values.write_text(text, encoding="utf-8")
    code, output = told(capsys, "-f", str(values))
    for words in FINDINGS[text]:
        assert words in output, output
    assert code == 1


def test_what_one_key_does_to_many_objects_is_told_once(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values.write_text('commonLabels: {team: "two words"}\nengine: {extraArgs: [--not-a-flag]}', encoding="utf-8")
    code, output = told(capsys, "-f", str(values))
    assert output.startswith("✗ 2 problems in ")
    assert f"engine.extraArgs.0 — vLLM {app_version()} has no flag --not-a-flag (" in output
    assert (
        "commonLabels.team — two words is no value of a label (ServiceAccount/test at metadata.labels.team, and"
        in output
    )
    assert code == 1


#: Two dozen mistakes, and the parts in which they are.
MANY = """
commonLabels: {team: two words, owner: _me}
podLabels: {tier: "a b", zone: "-x", kind: "x y"}
serviceAccount: {annotations: {}}
extraVolumes:
  host: {hostPath: {path: /}}
  other: {hostPath: {path: /srv}}
  unused: {emptyDir: {}}
  data: {configMap: {}}
extraVolumeMounts: {/data: {name: data}}
engine:
  env: {LEVEL: debug}
  extraArgs: [--not-a-flag, --nor-this=1, --max-num-seq=8]
podSpec:
  enableServiceLinks: true
  hostNetwork: true
  hostAliases: [{ip: 10.0.0.1, hostnames: [a]}, {ip: 10.0.0.1, hostnames: [b]}]
topologySpreadConstraints:
  - {topologyKey: zone, whenUnsatisfiable: DoNotSchedule, maxSkew: 1, labelSelector: {}}
  - {topologyKey: zone, whenUnsatisfiable: DoNotSchedule, maxSkew: 2, labelSelector: {}}
extraObjects:
  note: {apiVersion: v1, kind: ConfigMap, metadata: {name: note}, datta: {}}
  second: {apiVersion: v1, kind: ConfigMap, metadata: {name: second}, data: {a: 1}}
  third: {apiVersion: v1, kind: Service, metadata: {name: third}, spec: {ports: [{prot: 80}]}}
  fourth: {apiVersion: v1, kind: Secret, metadata: {name: Fourth_one}}
  fifth:
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: fifth}
    spec:
      rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}]}}]
metrics: {podMonitor: {enabled: true}}
replicas: 2
"""
PARTS = {
    "commonLabels.owner",
    "commonLabels.team",
    "engine.extraArgs.0",
    "engine.extraArgs.1",
    "engine.extraArgs.2",
    "extraObjects.fourth",
    "extraObjects.note.datta",
    "extraObjects.second.data",
    "extraObjects.third.spec",
    "extraObjects.fifth.spec",
    "extraVolumes.data.configMap",
    "extraVolumes.host.hostPath",
    "extraVolumes.other.hostPath",
    "extraVolumes.unused.emptyDir",
    "podLabels.kind",
    "podLabels.tier",
    "podLabels.zone",
    "podSpec.enableServiceLinks",
    "podSpec.hostNetwork",
    "topologySpreadConstraints.0",
}


def test_each_of_many_mistakes_is_told_with_the_part_of_the_values_that_it_is_in(values: Path) -> None:
    values.write_text(MANY, encoding="utf-8")
    told = {problem.path for problem in checker.check([values]).problems}
    assert {next((part for part in PARTS if path.startswith(part)), path) for path in told} == PARTS


def test_later_files_and_set_win(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = values.with_name("later.yaml")
    values.write_text("replicas: two", encoding="utf-8")
    later.write_text("replicas: 2", encoding="utf-8")
    assert told(capsys, "-f", f"{values},{later}")[0] == 0
    code, output = told(capsys, "-f", str(values), "-f", str(later), "--set", "replicas=many")
    assert (code, "replicas — is a string" in output) == (1, True)


#: Objects of a user's own that are as they should be, and unlike any that the chart makes.
OWN = """
closed: {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}}}
elsewhere: {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {type: ExternalName, externalName: b.example.com}}
another: {apiVersion: v1, kind: Service, metadata: {name: c}, spec: {selector: {app: c}, ports: [{port: 80}]}}
budget:
  apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata: {name: d}
  spec: {selector: {matchExpressions: [{key: app, operator: Exists}]}}
ingress:
  apiVersion: networking.k8s.io/v1
  kind: Ingress
  metadata: {name: e}
  spec: {defaultBackend: {service: {name: test, port: {name: http}}}, tls: [{hosts: [e.example.com]}]}
lists:
  apiVersion: v1
  kind: ConfigMap
  metadata: {name: g, labels: null}
  data: {a.yaml: "groups: [a]", b.yaml: "groups: [{rules: [{}]}]", c.yaml: "rules: 3", d.json: '{"panels": [1]}'}
nothing: {apiVersion: v1, kind: ConfigMap, metadata: {name: h}, data: null}
redirect:
  apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: f}
  spec: {rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]}
"""


def test_objects_of_a_users_own_may_be_unlike_the_charts(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values.write_text(f"extraObjects:{OWN}".replace("\n", "\n  "), encoding="utf-8")
    code, output = told(capsys, "-f", str(values))
    assert code == 0, output


def test_an_object_of_a_kind_that_nobody_knows_is_left_out_and_named(
    values: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = "{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: s}, spec: {}}"
    # neither is a kind that has the name of one, nor one that is no name of a file
    other = "{apiVersion: example.com/v1, kind: Deployment, metadata: {name: d}, spec: text}"
    odd = f"{{apiVersion: v1, kind: ../{'x' * 300}, metadata: {{name: o}}, spec: {{scaleTargetRef: text}}}}"
    values.write_text(f"extraObjects: {{s: {sealed}, d: {other}, o: {odd}}}", encoding="utf-8")
    code, output = told(capsys, "-f", str(values))
    for words in ("SealedSecret/s", "Deployment/d", f"../{'x' * 300}/o"):
        assert f"not checked: {words}: nothing is known of its kind here" in output
    assert code == 0


def test_an_object_that_a_check_breaks_on_is_told_and_the_others_are_looked_at(
    values: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(subject: Subject) -> list[Finding]:
        return [Finding(item, (), item.body["spec"]["gone"]) for item in subject.objects().of("NetworkPolicy")]

    monkeypatch.setitem(INVARIANTS, "names", replace(INVARIANTS["names"], findings=broken))
    values.write_text(f"extraObjects:{OWN}".replace("\n", "\n  "), encoding="utf-8")
    code, output = told(capsys, "-f", str(values))
    assert output.startswith("✗ 1 problem in ")
    assert (
        "extraObjects — whether every name and label is one that Kubernetes takes can't be told of a NetworkPolicy"
        in output
    )
    assert code == 1


def test_a_terminal_gets_colours_unless_it_asks_for_none(values: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    values.write_text("replcas: 2", encoding="utf-8")
    coloured = "\x1b[1mreplcas\x1b[0m — there is no such key — \x1b[36mwrite replicas\x1b[0m"
    assert coloured in "\n".join(report.lines(checker.check([values])))
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as plain:
            plain.setenv(name, value)
            assert "  replcas — there is no such key — write replicas" in report.lines(checker.check([values]))


def test_the_result_is_written_for_a_ci_system(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = values.with_name("junit.xml")
    values.write_text("replcas: 2", encoding="utf-8")
    assert told(capsys, "-f", str(values), "--junit", str(junit))[0] == 1
    suite = Xml.parse(junit).getroot()  # noqa: S314
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    assert "replcas — there is no such key" in str(suite.findtext("testsuite/testcase/failure"))
    values.write_text("", encoding="utf-8")
    assert told(capsys, "-f", str(values), "--junit", str(junit))[0] == 2
    assert Xml.parse(junit).getroot().get("errors") == "1"  # noqa: S314


def test_a_vendored_chart_is_checked_where_it_lies(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = told(capsys, "--chart", str(values.parent), "-f", str(values))
    assert (code, "no such file" in output) == (2, True)
    values.write_text("{}", encoding="utf-8")
    code, output = told(capsys, "--chart", str(values.parent), "-f", str(values))
    assert (code, f"{values.parent}: no Chart.yaml." in output) == (2, True)
    assert told(capsys, "--chart", str(CHART), "-f", str(values))[0] == 0


# -- nothing can be said

UNREADABLE: dict[str, tuple[bytes, str]] = {
    "no YAML": (b"a: [1, 2\nb: 3\n", ":2: invalid YAML ("),
    "a key twice": (b"replicas: 1\nimage: {}\nreplicas: 2\n", ": key given twice: replicas. Remove one of them."),
    "tabs": (b"image:\n\ttag: v1\n", ":2: indented with a tab. Use spaces."),
    "a byte order mark": (b"\xef\xbb\xbfreplicas: 1\n", ": starts with a byte order mark. Save it as"),
    "UTF-16": ("replicas: 1\n".encode("utf-16"), ": starts with a byte order mark"),
    "Latin-1": (b"model: {name: caf\xe9}\n", ":1: not UTF-8. Save the file as UTF-8."),
    "binary": (b"\x7fELF\x02\x01\0\0", ": is a binary file. Name a values file."),
    "nothing": (b"", ": empty. Name a values file with content."),
    "comments": (b"# replicas: 1\n", ": no values. Write some, or {}"),
    "a list": (b"- replicas: 1\n", ": is a list, not a map. Write keys"),
    "a text": (b"replicas\n", ": is a single value, not a map. Write keys"),
    "10 MB": (b"#" * 10_000_000, ": larger than 1 MiB. Name a smaller values file."),
    "two documents": (b"replicas: 1\n---\nreplicas: 2\n", ":2: a second document starts. Remove the line ---."),
    "a template": (b"model:\n  name: {{ .Values.name }}\n", "a values file is not a template. Quote the value."),
    "too deep": (b"a: " + b"[" * 50_000, ": nested more than 100 levels deep. Flatten it."),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_values_file_is_rejected_in_one_sentence(
    case: str, values: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, words = UNREADABLE[case]
    values.write_bytes(raw)
    code, out, errors = vllm_chart(capsys, "check", "-f", str(values))
    assert words in errors
    assert errors.startswith(f"✗ {values}:")
    assert (code, out, errors.count("\n")) == (2, "", 1)


def test_missing_file_folder_and_unsupported_kubernetes_are_rejected_in_one_sentence(
    values: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "-f", "missing.yaml") == (2, "✗ missing.yaml: no such file. Name an existing values file.\n")
    assert told(capsys, "-f", str(values.parent)) == (2, f"✗ {values.parent}: is a folder. Name a values file in it.\n")
    values.write_text("{}", encoding="utf-8")
    for version in ("1.99", "newest", "1.37.x"):
        code, output = told(capsys, "-f", str(values), "--kube-version", version)
        assert output.startswith(f"✗ Unsupported Kubernetes version {version}. Supported: 1.")
        assert (code, output.count("\n")) == (2, 1)
    code, output = told(capsys, "-f", str(values), "--set", "replicas[x]=1")
    assert (code, output.count("\n"), "Helm cannot read the values: " in output) == (2, 1, True)


def test_values_file_without_permission_is_rejected_in_one_sentence(
    values: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values.write_text("{}", encoding="utf-8")
    values.chmod(0)
    if os.geteuid() == 0:  # whom permissions don't keep from reading
        monkeypatch.setattr(Path, "open", _denied)
    code, output = told(capsys, "-f", str(values))
    assert (code, output) == (2, f"✗ {values}: permission denied. Make the file readable.\n")


def _denied(*_: object) -> NoReturn:
    raise PermissionError(13, "Permission denied")


def test_values_are_read_from_standard_input(
    values: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values.write_text("replicas: two", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"replicas: 2")))
    assert told(capsys, "-f", str(values), "-f", "-")[0] == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"replcas: 2")))
    code, output = told(capsys, "-f", "-")
    assert (code, output.splitlines()[0]) == (1, "✗ 1 problem in standard input")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: [")))
    assert told(capsys, "-f", "-")[1].startswith("✗ standard input:2: invalid YAML")


def test_files_are_checked_one_by_one_on_top_of_shared_values(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = values.with_name("good.yaml"), values.with_name("bad.yaml")
    values.write_text("replicas: two", encoding="utf-8")
    good.write_text("replicas: 2", encoding="utf-8")
    bad.write_text("replcas: 2", encoding="utf-8")
    junit = values.with_name("junit.xml")
    shared = ("-f", str(values), "--junit", str(junit))
    code, output = told(capsys, *shared, str(good), str(bad))
    assert f"✓ No problems in {values} + {good}" in output
    assert f"✗ 2 problems in {values} + {bad}" in output
    assert code == 1
    code, output = told(capsys, *shared, "gone.yaml", str(good))
    assert f"✓ No problems in {values} + {good}" in output
    assert (code, output.splitlines()[-1]) == (2, "✗ gone.yaml: no such file. Name an existing values file.")
    root = Xml.parse(junit).getroot()  # noqa: S314
    assert [suite.get("errors") for suite in root] == ["1", "0"]


def test_json_has_the_documented_shape(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values.write_text("replcas: 2", encoding="utf-8")
    code, out, errors = vllm_chart(capsys, "check", "-f", str(values), "--set", "replicas=2", "--output", "json")
    shown = json.loads(out)
    assert shown.keys() == {"values", "versions", "problems", "notChecked"}
    assert shown["values"] == [str(values), "--set replicas=2"]
    assert shown["versions"]["kubernetes"] == list(kubernetes_api.supported())
    assert shown["versions"]["vllm"] == app_version()
    problem = {"check": "values", "path": "replcas", "problem": "there is no such key", "remedy": "write replicas"}
    assert shown["problems"] == [problem]
    assert (code, errors) == (1, "")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (None, "helm: program not found. Install Helm"),
        ("echo v3.16.4", "helm: unsupported Helm version 3.16.4. Update Helm to 3.17 or newer."),
        ("echo nonsense", "helm: does not answer like Helm. Install Helm"),
        ("exit 1", "helm: does not answer like Helm. Install Helm"),
    ],
)
@pytest.mark.parametrize("command", ["check", "migrate", "size"])
def test_missing_old_or_other_helm_is_rejected_in_one_sentence(  # noqa: PLR0917
    command: str,
    program: str | None,
    words: str,
    values: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values.write_text("{}", encoding="utf-8")
    config, written = values.with_name("config.json"), values.with_name("written.yaml")
    models = go_yaml.load((FILES / "models.yaml").read_text(encoding="utf-8"))
    config.write_text(json.dumps(models["Qwen/Qwen3-8B"]["config"]), encoding="utf-8")
    fake = values.with_name("helm")
    if program:
        fake.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
        fake.chmod(0o755)
    monkeypatch.setattr(helm, "binary", helm.binary.__wrapped__)
    monkeypatch.setattr(helm, "version", helm.version.__wrapped__)
    monkeypatch.delenv("HELM", raising=False)
    monkeypatch.setenv("PATH", str(values.parent))
    arguments = {
        "check": ["-f", str(values)],
        "migrate": [str(FILES / "manifests" / "single-gpu.yaml"), "--to", str(written)],
        "size": ["Qwen/Qwen3-8B", "--gpu=L40S", f"--config={config}", "--to", str(written)],
    }
    code, output, errors = vllm_chart(capsys, command, *arguments[command])
    assert words in errors
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert not written.exists()


# -- Helm's words

PAIRS = [
    (
        "- at '/model': additional properties 'urri' not allowed",
        "- model: Additional property urri is not allowed",
        HelmProblem("model.urri", "there is no such key", "leave it out, or look for its name in the chart's README"),
    ),
    (
        "- at '/replicas': got string, want integer",
        "- replicas: Invalid type. Expected: integer, given: string",
        HelmProblem("replicas", "is a string, not an integer", "write an integer"),
    ),
    (
        "- at '/engine/args/a': got array, want null or integer or string",
        "- engine.args.a: Invalid type. Expected: [integer,string,null], given: array",
        HelmProblem("engine.args.a", "is an array, not an integer or a string", "write an integer or a string"),
    ),
    (
        "- at '/a': value must be one of 'x', 'y'",
        '- a: a must be one of the following: "x", "y"',
        HelmProblem("a", "is none of the values that there are", "write one of x, y"),
    ),
    (
        "- at '/a': missing property 'uri'",
        "- a: uri is required",
        HelmProblem("a.uri", "is missing", "write a.uri"),
    ),
    (
        "- at '/service/port': maximum: got 9.9999999\u00d710\u2070\u2077, want 65,535",
        "- service.port: Must be less than or equal to 65535",
        HelmProblem("service.port", "is too large", "write 65535 at most"),
    ),
    (
        "- at '/a': minimum: got 0, want 1",
        "- a: Must be greater than or equal to 1",
        HelmProblem("a", "is too small", "write 1 at least"),
    ),
    (
        "- at '/model/uri': minLength: got 0, want 1",
        "- model.uri: String length must be greater than or equal to 1",
        HelmProblem("model.uri", "is empty", "write a text"),
    ),
    (
        "- at '/image/digest': 'abc' does not match pattern '(write sha256: and 64 hex digits)^|^(x)?$'",
        "- image.digest: Does not match pattern '(write sha256: and 64 hex digits)^|^(x)?$'",
        HelmProblem("image.digest", "is not taken as it is here", "write sha256: and 64 hex digits"),
    ),
    (
        "- at '/engine/args/port': value must be '(set by the chart: set server.port)'",
        '- engine.args.port: engine.args.port does not match: "(set by the chart: set server.port)"',
        HelmProblem("engine.args.port", "set by the chart", "set server.port"),
    ),
]


@pytest.mark.parametrize(("four", "three", "refusal"), PAIRS, ids=[pair[2].place for pair in PAIRS])
def test_both_helms_are_understood_alike(four: str, three: str, refusal: HelmProblem) -> None:
    assert parse_helm_errors(f"vllm:\n{four}\n") == parse_helm_errors(f"vllm:\n{three}\n") == [refusal]
