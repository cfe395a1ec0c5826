"""`vllm-chart doctor` names the cause of releases that are really broken, and each command that it gives works.

All are installed at once, side by side, and most have a stand-in for vLLM, which would take long to break.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from ci import cluster, crds
from ci.common import ROOT
from ci.helm_release import HelmRelease
from ci.images import VLLM
from tests.e2e.conftest import FILES
from vllm_chart.doctor import cluster as doctor
from vllm_chart.doctor import rules
from vllm_chart.doctor.rules import Problem

NAMESPACE, QUOTA = "vllm-e2e-doctor", "vllm-e2e-doctor-quota"
#: Until a release is as broken as it gets: crash loops, probes and autoscalers take their time.
DEADLINE_SECONDS = 300
#: Answers /health with 200, and with 503 after so many seconds.
SERVER = """
import http.server, sys, time
until = time.monotonic() + float({seconds})
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if time.monotonic() < until else 503)
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8000), Health).serve_forever()
"""
FOREVER = 1e9
COMMAND = "driver"  # the release at which the command itself is tried


def in_place_of_vllm(*command: str, **container: Any) -> dict[str, Any]:
    """Values by which the server's container runs something else."""
    containers = [{"name": "vllm", "command": list(command), **container}]
    return {"podSpec": {"containers": containers}, "checks": {"disabled": {"podSpec": True}}}


def ready(seconds: float = FOREVER, **container: Any) -> dict[str, Any]:
    """Values of a server that is ready for so many seconds."""
    return in_place_of_vllm("python3", "-c", SERVER.format(seconds=seconds), **container)


def last_words(text: str) -> dict[str, Any]:
    """Values of a server that says something and ends."""
    return in_place_of_vllm("sh", "-c", f"echo {shlex.quote(text)} >&2; exit 1")


SMALL = {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": "200Mi"}}
#: vLLM gets as far as to its arguments and its model's configuration.
ENOUGH_TO_REFUSE = {"resources": {"requests": {"cpu": "5m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}}


@dataclass(frozen=True)
class Broken:
    """A broken release.

    Attributes:
        name: of the release.
        values: over values/cpu.yaml, `SMALL` resources and the cluster's own model.
        problem: pattern of the only problem's text.
        remedy: words of its remedy.
        afterwards: arguments of kubectl that break it when it is installed.
        when_ready: whether these wait for a ready server.
        namespace: where it is.
    """

    name: str
    values: dict[str, Any]
    problem: str
    remedy: str
    afterwards: tuple[tuple[str, ...], ...] = ()
    when_ready: bool = False
    namespace: str = NAMESPACE


NO_SUCH_MODEL = "oci://localhost/no-such-model:1"
BROKEN = (
    Broken(
        "gpus",
        {"accelerator": {"type": "nvidia"}, "image": {"tag": "v0.0.0"}, "parallelism": {"tensor": 2}},
        r"No node takes the pod: .*nvidia\.com/gpu wanted 2, there 0",
        "install its device plugin",
    ),
    Broken(
        "memory",
        {"resources": {"requests": {"cpu": "5m", "memory": "900Gi"}, "limits": {"memory": "900Gi"}}},
        r"No node takes the pod: .*memory wanted 900\.0Gi, [\d.]+Gi of [\d.]+Gi free",
        "lower resources.requests.memory",
    ),
    Broken(
        "selector",
        {"nodeSelector": {"example.com/gpu": "h100"}},
        r"No node takes the pod: .*no label example\.com/gpu",
        "correct nodeSelector",
    ),
    Broken(
        "affinity",
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["moon"]}]}
                        ]
                    }
                }
            }
        },
        r"No node takes the pod: .*no match for affinity\.nodeAffinity",
        "affinity.nodeAffinity",
    ),
    Broken(
        "image",
        {"image": {"registry": "registry.invalid", "tag": "v0.0.0"}},
        r"The node can't reach the registry of registry\.invalid/vllm/vllm-openai-cpu:v0\.0\.0",
        "image.registry",
    ),
    Broken(
        "never-pulled",
        {"image": {"tag": "v0.0.0", "pullPolicy": "Never"}, "model": {"uri": "file:///model"}},
        r"The node has no image docker\.io/vllm/vllm-openai-cpu:v0\.0\.0",
        "image.pullPolicy",
    ),
    Broken(
        "model-image",
        {"model": {"uri": NO_SUCH_MODEL}} | ready(),
        r"(The node can't reach the registry of|The registry has no) localhost/no-such-model:1",
        "model.uri",
    ),
    Broken(
        "no-cp",
        {
            "model": {"uri": f"oci://{VLLM}", "copyFrom": "/opt"},
            # as in an image that holds nothing but the model
            "initContainers": {"copy-model": {"env": [{"name": "PATH", "value": "/nowhere"}]}},
        }
        | ready(),
        r"The model's image has no cp",
        "use an image with cp",
    ),
    Broken(
        "no-secret",
        {"model": {"uri": "hf://org/name", "credentials": {"existingSecret": "absent", "key": "token"}}} | ready(),
        r"Secret absent isn't there",
        "model.credentials",
    ),
    Broken(
        "wrong-key",
        {"server": {"apiKey": {"keys": {"main": {"existingSecret": "present", "key": "kye"}}}}} | ready(),
        r"Secret present has no key kye; it has empty, key",
        "server.apiKey.keys",
    ),
    Broken(
        "empty-key",
        {"server": {"apiKey": {"keys": {"main": {"existingSecret": "present", "key": "empty"}}}}} | ready(),
        r"server\.apiKey\.keys\.main: the Secret holds nothing under this key",
        "write the API key into the Secret",
    ),
    Broken(
        "no-certificate",
        {"server": {"tls": {"existingSecret": "absent-tls"}}} | ready(),
        r"Secret absent-tls isn't there",
        "server.tls",
    ),
    Broken("no-claim", {"model": {"uri": "pvc://weights/qwen"}} | ready(), r"Claim weights isn't there", "model.uri"),
    Broken(
        "no-class",
        {"cache": {"compile": {"type": "claim", "size": "1Gi", "storageClassName": "gold", "keep": False}}} | ready(),
        r"Claim no-class-compile-cache wants storage class gold, which isn't there",
        "cache.compile.storageClassName",
    ),
    Broken(
        "access-mode",
        {"cache": {"compile": {"type": "claim", "size": "1Gi", "accessModes": ["ReadWriteMany"], "keep": False}}}
        | ready(),
        r"Storage class standard can't give claim access-mode-compile-cache the access mode ReadWriteMany",
        "cache.compile.accessModes",
    ),
    Broken(
        "pod-security",
        {"securityContext": {"allowPrivilegeEscalation": True}} | ready(),
        r"Pod Security restricted:latest refuses the pod: allowPrivilegeEscalation",
        "securityContext",
    ),
    Broken("quota", ready(), r"Quota small is used up: the pod wants limits\.memory=200Mi", "quota", namespace=QUOTA),
    Broken(
        "account",
        {"serviceAccount": {"create": False, "name": "nobody"}} | ready(),
        r"Service account nobody isn't there",
        "serviceAccount.name",
    ),
    Broken(
        "priority",
        {"priorityClassName": "no-such-class"} | ready(),
        r"There is no PriorityClass no-such-class",
        "priorityClassName",
    ),
    Broken(
        "slow-start",
        {"startup": {"timeoutSeconds": 6}} | in_place_of_vllm("sh", "-c", "sleep infinity"),
        r"The server wasn't ready within 6 s",
        "raise startup.timeoutSeconds",
    ),
    Broken(
        "out-of-memory",
        in_place_of_vllm("python3", "-c", "x = b'x' * (1 << 30)"),
        r"The kernel ended the container for want of memory, at its limit of 200Mi",
        "raise resources.limits.memory",
    ),
    Broken(
        "driver",
        last_words("RuntimeError: The NVIDIA driver on your system is too old (found version 12040)."),
        r"The driver of the node's GPUs is older than the image's CUDA wants",
        "-cu129",
    ),
    Broken(
        "device-memory",
        last_words("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),
        r"The device's memory is full",
        "max-num-seqs",
    ),
    Broken(
        "token",
        last_words(
            "huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Invalid credentials in Authorization header"
        ),
        r"Hugging Face refuses the token \(401\)",
        "model.credentials",
    ),
    Broken(
        "unready",
        ready(5, livenessProbe=None),
        r"The server says that its engine is dead or makes no progress",
        "server.stallTimeoutSeconds",
    ),
    Broken(
        "not-alive",
        ready(5, livenessProbe={"periodSeconds": 1, "failureThreshold": 2}),
        r"The server didn't answer /health for 2 s",
        "server.stallTimeoutSeconds",
    ),
    Broken(
        "stuck-drain",
        ready(),
        r"The pod should have been gone \d+ s ago",
        "finalizers: example.com/held",
        afterwards=(
            ("patch", "pod", "POD", "--patch", '{"metadata": {"finalizers": ["example.com/held"]}}'),
            ("delete", "pod", "POD", "--wait=false"),
        ),
        when_ready=True,
    ),
    Broken(
        "paused",
        ready(),
        r"The rollout is paused",
        "rollout resume",
        afterwards=(("rollout", "pause", "deployment/paused"),),
    ),
    Broken(
        "late",
        in_place_of_vllm("sh", "-c", "sleep infinity"),
        r"The rollout isn't done after 5 s, its deadline",
        "startup.timeoutSeconds",
        afterwards=(("patch", "deployment", "late", "--patch", '{"spec": {"progressDeadlineSeconds": 5}}'),),
    ),
    Broken(
        "no-endpoints",
        ready(),
        r"The Service selects none of the ready pods",
        "helm upgrade",
        afterwards=(("patch", "service", "no-endpoints", "--patch", '{"spec": {"selector": {"app": "another"}}}'),),
        when_ready=True,
    ),
    Broken(
        "no-metrics",
        {"autoscaling": {"hpa": {"enabled": True}}} | ready(),
        r"The autoscaler gets no metrics: .*",
        "prometheus-adapter with the rules of ConfigMap no-metrics-adapter-config",
    ),
    Broken(
        "no-operator",
        {"metrics": {"serviceMonitor": {"enabled": True}}} | ready(),
        r"No Prometheus of the Prometheus Operator is there to read it",
        "metrics.serviceMonitor.enabled",
    ),
    Broken(
        "ingress",
        {"ingress": {"enabled": True, "className": "no-such-class"}} | ready(),
        r"There is no IngressClass no-such-class",
        "ingress.className",
    ),
)
#: Broken with vLLM itself, which takes both cores, so one after the other.
BROKEN_VLLM = (
    Broken(
        "bad-flag",
        {"engine": {"extraArgs": ["--no-such-flag"]}} | ENOUGH_TO_REFUSE,
        r"vLLM doesn't know the argument --no-such-flag",
        "engine.extraArgs",
    ),
    Broken(
        "too-long",
        {"engine": {"args": {"max-model-len": 99999}}} | ENOUGH_TO_REFUSE,
        r"engine\.args\.max-model-len is 99999, and the model is made for 8192",
        "8192 or less",
    ),
    Broken(
        "no-model",
        {"model": {"uri": "hf://no-such-organisation/no-such-model"}} | ENOUGH_TO_REFUSE,
        r"Hugging Face has no such model|The model is neither in the cache nor|The pod reaches no server",
        "model",
    ),
)


def merged(*values: dict[str, Any]) -> dict[str, Any]:
    """Values laid over each other, maps merged at any depth."""
    result: dict[str, Any] = {}
    for layer in values:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


@pytest.fixture(scope="module")
def namespaces() -> Iterator[None]:
    """Two namespaces of this stage's own, one with a quota, without anything from an earlier run."""
    both = [HelmRelease("", name) for name in (NAMESPACE, QUOTA)]
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}}
    keys = {"key": "s3cr3t", "empty": "\n"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "present"}, "stringData": keys}
    _remove(both)
    for place in both:
        place.create_namespace()
    both[0].kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(secret))
    limit = quota | {"spec": {"hard": {"limits.memory": "100Mi"}}}
    both[1].kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(limit))
    try:
        yield
    finally:
        _remove(both)


def _remove(places: list[HelmRelease]) -> None:
    """Delete namespaces with all releases in them, and pods that a test holds back."""
    for place in places:
        for pod in place.kubectl("get", "pods", "--output=name").split():
            held = '{"metadata": {"finalizers": null}}'
            place.kubectl("patch", pod, "--patch", held, check=False)
    names = [place.namespace for place in places]
    cluster.kubectl("delete", "namespace", "--ignore-not-found", "--timeout=180s", *names)


@pytest.fixture(scope="module")
def monitors() -> Iterator[None]:
    """The kinds of the Prometheus Operator, without the operator."""
    if cluster.kubectl("get", "crd", "servicemonitors.monitoring.coreos.com", check=False):
        pytest.exit("The Prometheus Operator's kinds are on the cluster already: these tests need it to be away.")
    definitions = crds.manifest("prometheus-operator")
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=definitions)
    try:
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename=-", stdin=definitions)
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=definitions)


@pytest.fixture(scope="module")
def install(namespaces: None, values: dict[str, Any]) -> Callable[[Broken], None]:
    """Installs a broken release."""
    assert namespaces is None
    inside = {key: value for key, value in values.items() if key not in ("service", "checks")}
    quick = {"drain": {"delaySeconds": 0, "timeoutSeconds": 1}, "checks": {"disabled": {"hostMemory": True}}}

    def install(broken: Broken) -> None:
        release = HelmRelease(broken.name, broken.namespace)
        resources = {} if "accelerator" in broken.values else {"resources": SMALL}
        release.install(FILES, merged(inside, quick, resources, broken.values))

    return install


@pytest.fixture(scope="module")
def all_broken(install: Callable[[Broken], None], monitors: None, request: pytest.FixtureRequest) -> None:
    """Every broken release of the chosen tests that has a stand-in for vLLM, installed."""
    assert monitors is None
    names = [
        item.callspec.id
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    chosen = [broken for broken in BROKEN if broken.name in (*names, COMMAND)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(install, chosen))
    for broken in chosen:
        release = HelmRelease(broken.name, broken.namespace)
        if broken.when_ready:
            release.wait()
        for command in broken.afterwards:
            pods = [pod["metadata"]["name"] for pod in release.pods()]
            release.kubectl(*[pods[0] if word == "POD" else word for word in command])


def _findings(broken: Broken) -> list[Problem]:
    command = ("kubectl", f"--kubeconfig={cluster.KUBECONFIG}")
    return rules.diagnose(doctor.look(broken.name, doctor.Reader(command, broken.namespace, [])))


def _is_found(broken: Broken, record: Callable[..., None]) -> None:
    """Wait for the one problem that tells the cause, and run the command that it gives."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        problems = _findings(broken)
        if len(problems) == 1 and re.match(broken.problem, problems[0].problem):
            break
        assert time.monotonic() < deadline, f"{broken.name}: {problems or 'nothing is found'}"
        time.sleep(5)  # each look is a dozen programs
    (problem,) = problems
    record(broken.name, says=problem.problem, remedy=problem.remedy)
    assert broken.remedy in problem.remedy
    environment = os.environ | {"KUBECONFIG": str(cluster.KUBECONFIG)}
    shown = subprocess.run(shlex.split(problem.look), env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, f"{problem.look}: {shown.stderr}"
    assert shown.stdout or "No resources found" in shown.stderr, f"{problem.look} shows nothing"
    assert "s3cr3t" not in f"{shown}{problem}"


@pytest.mark.usefixtures("all_broken")
@pytest.mark.parametrize("broken", BROKEN, ids=[broken.name for broken in BROKEN])
def test_a_broken_release_is_explained(broken: Broken, record: Callable[..., None]) -> None:
    _is_found(broken, record)


@pytest.mark.parametrize("broken", BROKEN_VLLM, ids=[broken.name for broken in BROKEN_VLLM])
def test_what_vllm_itself_refuses_is_explained(
    broken: Broken, install: Callable[[Broken], None], record: Callable[..., None]
) -> None:
    install(broken)
    try:
        _is_found(broken, record)
    finally:
        release = HelmRelease(broken.name, broken.namespace)
        release.helm("uninstall", release.name)  # a crash loop would go on beside the next


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "KUBECONFIG": str(cluster.KUBECONFIG)}
    command = [sys.executable, "-m", "vllm_chart", "doctor", "--namespace", NAMESPACE, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("all_broken")
def test_the_command_ends_with_1_where_something_is_wrong_and_2_where_it_cannot_look() -> None:
    broken = _command(COMMAND)
    assert broken.returncode == 1
    assert "1 problem found." in broken.stdout
    absent = _command("absent")
    assert absent.returncode == 2
    assert f"Namespace {NAMESPACE}: no release absent of the chart. The cluster has" in absent.stderr
    nowhere = _command(COMMAND, "--kube-context=no-such-context")
    assert nowhere.returncode == 2
    assert "no-such-context" in nowhere.stderr
    assert "Traceback" not in f"{broken.stderr}{absent.stderr}{nowhere.stderr}"
