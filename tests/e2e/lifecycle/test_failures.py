"""What clients see when a server breaks, and how long it is gone."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import cluster
from ci.common import ROOT
from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from tests.e2e import pods, processes
from tests.e2e.load import Load, Report, Stream, under_load
from vllm_chart.process import run

FILES: list[Path] = [ROOT / "values" / "cpu.yaml"]
STREAMS = [Stream("new"), Stream("reused")]
Install = Callable[..., None]
Record = Callable[..., None]


#: Seconds in which a client hears that its request failed, where nothing is frozen.
HEARD_SECONDS = 30
#: Seconds from a fault to the next answer: a start, on two busy cores.
BACK_SECONDS = 180


class Recovery:
    """What clients saw of a fault.

    Attributes:
        noticed: seconds from the fault to the first failure, or None.
        served: seconds from the fault to the first answer to a request that was made after the first failure, or None.
        cut: failures of requests that were made before the fault.
        refused: those of requests that were made after it.
    """

    def __init__(self, report: Report, broken: float) -> None:
        failures = [o for o in report.outcomes if o.failure and o.started + o.seconds > broken]
        noticed = min((o.started + o.seconds for o in failures), default=None)
        answers = [o for o in report.outcomes if not o.failure and o.started > (noticed or broken)]
        served = min((o.started + o.first_token for o in answers), default=None)
        self.noticed = None if noticed is None else noticed - broken
        self.served = None if served is None else served - broken
        self.cut = [o for o in failures if o.started <= broken]
        self.refused = [o for o in failures if o.started > broken]
        self.longest = max((o.seconds for o in failures), default=0.0)
        self.later = [o for o in failures if served is not None and o.started > served]

    def row(self) -> dict[str, str]:
        """What is recorded."""
        seconds = {"first_failure_after": self.noticed, "served_again_after": self.served}
        return {name: "never" if value is None else f"{value:.1f} s" for name, value in seconds.items()} | {
            "cut": str(len(self.cut)),
            "refused": str(len(self.refused)),
            "longest_wait_for_a_failure": f"{self.longest:.1f} s",
        }

    def is_bounded(self) -> None:
        """Fail unless clients heard of it soon, and no request failed any more once the server was back."""
        assert self.longest < HEARD_SECONDS, "a client was left hanging"
        assert self.served is not None
        assert self.served < BACK_SECONDS
        assert not self.later, "requests failed after the server was back"


def _load() -> Load:
    return Load(base_url(), MODEL, STREAMS)


def _server(release: HelmRelease) -> str:
    (pod,) = [p["metadata"]["name"] for p in release.pods() if "deletionTimestamp" not in p["metadata"]]
    return str(pod)


def _await_restart(release: HelmRelease, pod: str, before: int) -> dict[str, Any]:
    """The status of the server after one more restart, when it is Ready again."""
    deadline = time.monotonic() + 600
    while True:
        status = release.status(pod)
        if status["restartCount"] > before and status["ready"]:
            return status
        assert time.monotonic() < deadline, "the server isn't back after 10 minutes"
        time.sleep(0.5)


def test_one_server_without_surge_leaves_a_gap(install: Install, record: Record) -> None:
    install(strategy={"type": "Recreate"})
    with under_load(_load()) as load:
        install(strategy={"type": "Recreate"}, podAnnotations={"example.com/round": "gap"})
    record("rolling update, 1 replica, no surge", load.report)
    failures = load.report.failures()
    assert failures, "a gap without failures would be news"
    assert not load.report.cut(), "a request that was accepted is answered; only new ones find nobody"


def test_a_killed_engine_is_noticed_and_restarted(install: Install, release: HelmRelease, record: Record) -> None:
    install()
    pod = _server(release)
    with under_load(_load()) as load:
        broken = time.monotonic() - load.started
        processes.send(release, pod, "KILL", processes.titled(release, pod, "EngineCore"))
        status = _await_restart(release, pod, 0)
    recovery = Recovery(load.report, broken)
    record("engine killed, 1 replica", load.report, **recovery.row())
    assert status["restartCount"] == 1
    recovery.is_bounded()


def test_a_wedged_engine_is_noticed_by_its_lack_of_progress(
    install: Install, release: HelmRelease, record: Record
) -> None:
    install(server={"stallTimeoutSeconds": 20})
    pod = _server(release)
    with under_load(_load()) as load:
        broken = time.monotonic() - load.started
        processes.send(release, pod, "STOP", processes.titled(release, pod, "EngineCore", "Worker"))
        status = _await_restart(release, pod, 0)
    recovery = Recovery(load.report, broken)
    record("engine stopped (SIGSTOP), stallTimeoutSeconds 20", load.report, **recovery.row())
    assert status["restartCount"] == 1
    assert recovery.served is not None
    assert not recovery.later


def test_a_server_that_runs_out_of_memory_comes_back(install: Install, release: HelmRelease, record: Record) -> None:
    install()
    pod = _server(release)
    # together more than the limit leaves, each less than the engine's worker, which the kernel takes
    eat = "import time; x = b'x' * (900 << 20); time.sleep(20)"
    with under_load(_load()) as load:
        broken = time.monotonic() - load.started
        release.kubectl(
            "exec", pod, "--", "sh", "-c", f'for i in 1 2 3 4; do python3 -c "{eat}" & done; wait', check=False
        )
        status = _await_restart(release, pod, 0)
    ended = status["lastState"]["terminated"]
    recovery = Recovery(load.report, broken)
    record(
        "out of memory, 1 replica",
        load.report,
        last_state=f"{ended['reason']}, exit code {ended['exitCode']}",
        **recovery.row(),
    )
    assert status["restartCount"] == 1
    assert ended["reason"] == "OOMKilled"
    recovery.is_bounded()


def test_a_stopped_node_leaves_the_other_server(install: Install, release: HelmRelease, record: Record) -> None:
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "nodeTaintsPolicy": "Honor",  # the control plane's node takes none, and would count as an empty one
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": release.name}},
    }
    install(replicas=2, topologySpreadConstraints=[spread])
    pods_before = [pod["metadata"]["name"] for pod in release.pods()]
    node = release.pods()[0]["spec"]["nodeName"]
    try:
        with under_load(_load()) as load:
            broken = time.monotonic() - load.started
            run(["docker", "pause", node])
            deadline = time.monotonic() + 180
            while cluster.is_ready(node):
                assert time.monotonic() < deadline, "the node isn't missed after 3 minutes"
                time.sleep(1)
            unready = time.monotonic() - load.started
            time.sleep(10)
            with under_load(_load()) as late:  # clients that come once the node's endpoints are gone
                time.sleep(30)
    finally:
        run(["docker", "unpause", node])
    with under_load(_load()) as again:
        while not (cluster.is_ready(node) and all(release.status(pod)["ready"] for pod in pods_before)):
            assert time.monotonic() - again.started < 300, "the node isn't back after 5 minutes"
            time.sleep(1)
        back = time.monotonic() - again.started
        time.sleep(20)
    recovery = Recovery(load.report, broken)
    record("node stopped, 2 replicas", load.report, node_missed_after=f"{unready - broken:.1f} s", **recovery.row())
    record("after the node is missed", late.report)
    record("the node comes back", again.report, ready_after=f"{back:.1f} s")
    assert len(load.report.failures()) <= len(STREAMS), "a client waits for the lost node more than once"
    for report in (late.report, again.report):
        assert report.requests()
        assert not report.failures(), "requests fail after the node's endpoints are gone"
    assert {pod["metadata"]["name"] for pod in release.pods()} == set(pods_before)


@pytest.fixture(scope="module")
def place(new_release: Callable[..., HelmRelease]) -> HelmRelease:
    """A release that can't start."""
    return new_release("broken")


@pytest.fixture
def describe(values: dict[str, Any], place: HelmRelease) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Installs that release with some values, and returns what `kubectl describe` says once a container has failed."""

    def described(changes: dict[str, Any]) -> str:
        place.install(FILES, {"model": values["model"]} | changes)
        deadline = time.monotonic() + 300
        while True:
            for pod in place.pods():
                if _failed(pod["status"]):
                    return place.kubectl("describe", "pod", pod["metadata"]["name"])
            assert time.monotonic() < deadline, "no container has ended after 5 minutes"
            time.sleep(0.5)

    yield described
    place.uninstall()


def _failed(status: dict[str, Any]) -> bool:
    """True if the vLLM container or an init container ended."""
    servers, before = (status.get(f"{kind}Statuses", []) for kind in ("container", "initContainer"))
    ended = [
        (s in servers, e) for s in servers + before for k in ("state", "lastState") if (e := s[k].get("terminated"))
    ]
    return any(server or end["exitCode"] for server, end in ended)


NO_CHECK: dict[str, Any] = {"checks": {"disabled": {"hostMemory": True}}}  # of what the chart would see before
FAILED_STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown flag": ({"engine": {"extraArgs": ["--no-such-flag"]}}, "--no-such-flag"),
    "no such model": (
        {"model": {"uri": "hf://no-such/model"}, "engine": {"env": {"HF_HUB_OFFLINE": "1"}}},
        "no-such/model",
    ),
    "context too long": ({"engine": {"args": {"max-model-len": 10_000_000}}}, "max_model_len"),
    "too little memory for the KV cache": (
        {"engine": {"env": {"VLLM_CPU_KVCACHE_SPACE": "400"}}, **NO_CHECK},
        "less than requested memory for kv",
    ),
    "too low a memory limit": (
        {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}, **NO_CHECK},
        "OOMKilled",
    ),
    "failed warm-up": ({"warmup": {"enabled": True, "request": {"body": {"model": "nobody"}}}}, "Warm-up failed"),
}


@pytest.mark.parametrize("failure", FAILED_STARTS)
def test_a_start_that_fails_says_why_in_the_last_state(
    describe: Callable[[dict[str, Any]], str], failure: str, record: Record
) -> None:
    values, reason = FAILED_STARTS[failure]
    _says(describe(values), reason, f"start fails: {failure}", record)


def _says(described: str, reason: str, event: str, record: Record) -> None:
    """Record and expect a reason in one line of how a container ended."""
    ends = re.findall(r"State: +Terminated\n(.*?)^ +Exit Code:", described, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for end in ends for line in end.splitlines() if reason in line]
    record(event, reason=lines[0][:300] if lines else "not told")
    assert lines, described


#: Stands in for the Hugging Face Hub.
HUB = ROOT / "tests" / "e2e" / "exposure" / "hub.py"


@pytest.fixture(scope="module")
def hub(place: HelmRelease) -> Iterator[dict[str, Any]]:
    """Values by which a server asks that hub with a token that it doesn't know."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "stringData": {"token": "hf_wrong"}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hub"},
        "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8080}]},
    }
    ready = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    command = ["python3", "-c", HUB.read_text(encoding="utf-8"), "/work", "team/private", "main", "hf_right"]
    server = pods.pod("hub", command, {}, readinessProbe=ready)
    everything = {"apiVersion": "v1", "kind": "List", "items": [secret, service, server]}
    place.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(everything))
    place.kubectl("wait", "--for=condition=Ready", "pod/hub", "--timeout=180s")
    yield {
        "model": {"uri": "hf://team/private", "credentials": {"existingSecret": "hub", "key": "token"}},
        "engine": {"env": {"HF_ENDPOINT": "http://hub:8080"}},
    }
    place.kubectl("delete", "pod/hub", "service/hub", "secret/hub")


@pytest.mark.parametrize(
    ("fetches", "cache"),
    [("the server", {}), ("the container before it", {"model": {"type": "claim", "size": "1Gi", "keep": False}})],
)
def test_a_wrong_token_is_told_in_the_last_state(
    describe: Callable[[dict[str, Any]], str],
    hub: dict[str, Any],
    fetches: str,
    cache: dict[str, Any],
    record: Record,
) -> None:
    _says(describe(hub | {"cache": cache}), "401 Unauthorized", f"wrong token, {fetches} fetches", record)
