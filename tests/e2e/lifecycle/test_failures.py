"""What clients see when a server breaks, and how long it is gone."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import processes

from scripts import cluster
from scripts.common import ROOT, run
from scripts.demo import MODEL
from scripts.load import Load, Report, Stream, under_load
from scripts.release import Release, base_url

FILES: list[Path] = [ROOT / "values" / "cpu.yaml"]
STREAMS = [Stream("new"), Stream("reused")]
Install = Callable[..., None]
Record = Callable[..., None]


def _recovery(report: Report, broken: float) -> dict[str, str]:
    """When clients first noticed, and when the first request was answered that was made after that."""
    after = [o for o in report.outcomes if o.started + o.seconds > broken]
    noticed = min((o.started + o.seconds for o in after if o.failure), default=None)
    served = min((o.started + o.first_token for o in after if not o.failure and o.started > broken), default=None)
    return {
        "first_failure_after": f"{noticed - broken:.1f} s" if noticed else "never",
        "served_again_after": f"{served - broken:.1f} s" if served else "never",
    }


def _load() -> Load:
    return Load(base_url(), MODEL, STREAMS)


def _server(release: Release) -> str:
    (pod,) = [p["metadata"]["name"] for p in release.pods() if "deletionTimestamp" not in p["metadata"]]
    return str(pod)


def _await_restart(release: Release, pod: str, before: int) -> dict[str, Any]:
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
    cut = [f for f in failures if "was cut" in f or "500" in f]
    assert not cut, "a request that was accepted is answered; only new ones find nobody"


def test_a_killed_engine_is_noticed_and_restarted(install: Install, release: Release, record: Record) -> None:
    install()
    pod = _server(release)
    with under_load(_load()) as load:
        broken = time.monotonic() - load.started
        processes.send(release, pod, "KILL", processes.titled(release, pod, "EngineCore"))
        status = _await_restart(release, pod, 0)
    record("engine killed, 1 replica", load.report, **_recovery(load.report, broken))
    assert status["restartCount"] == 1
    assert not [f for f in load.report.failures() if "Timeout" in f], "a client was left hanging"


def test_a_wedged_engine_is_noticed_by_its_lack_of_progress(install: Install, release: Release, record: Record) -> None:
    install(server={"stallTimeoutSeconds": 20})
    pod = _server(release)
    with under_load(_load()) as load:
        broken = time.monotonic() - load.started
        processes.send(release, pod, "STOP", processes.titled(release, pod, "EngineCore", "Worker"))
        status = _await_restart(release, pod, 0)
    record("engine stopped (SIGSTOP), stallTimeoutSeconds 20", load.report, **_recovery(load.report, broken))
    assert status["restartCount"] == 1


def test_a_server_that_runs_out_of_memory_comes_back(install: Install, release: Release, record: Record) -> None:
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
    record(
        "out of memory, 1 replica",
        load.report,
        last_state=f"{ended['reason']}, exit code {ended['exitCode']}",
        **_recovery(load.report, broken),
    )
    assert status["restartCount"] == 1


def test_a_stopped_node_leaves_the_other_server(install: Install, release: Release, record: Record) -> None:
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "nodeTaintsPolicy": "Honor",  # the control plane's node takes none, and would count as an empty one
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": release.name}},
    }
    install(replicas=2, topologySpreadConstraints=[spread])
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
    record(
        "node stopped, 2 replicas",
        load.report,
        node_missed_after=f"{unready - broken:.1f} s",
        **_recovery(load.report, broken),
    )
    record("after the node is missed", late.report)
    assert late.report.requests()
    assert not late.report.failures(), "requests fail after the node's endpoints are gone"
    release.settle()


@pytest.fixture
def broken(values: dict[str, Any], new_release: Callable[..., Release]) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Installs a release that can't start, and returns the message of its server's last state."""
    release = new_release("broken")

    def message(changes: dict[str, Any]) -> str:
        release.install(FILES, {"model": values["model"]} | changes)
        deadline = time.monotonic() + 300
        while True:
            for pod in release.pods():
                for status in pod["status"].get("containerStatuses", []):
                    for state in (status["state"], status["lastState"]):
                        if ended := state.get("terminated"):
                            return str(ended.get("message", ""))
            assert time.monotonic() < deadline, "the server hasn't ended after 5 minutes"
            time.sleep(0.5)

    yield message
    release.uninstall()


FAILED_STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown flag": ({"engine": {"extraArgs": ["--no-such-flag"]}}, "--no-such-flag"),
    "no such model": (
        {"model": {"uri": "hf://no-such/model"}, "engine": {"env": {"HF_HUB_OFFLINE": "1"}}},
        "no-such/model",
    ),
    "context too long": ({"engine": {"args": {"max-model-len": 10_000_000}}}, "max_model_len"),
    "too little memory": (
        # which the chart would see before
        {"engine": {"env": {"VLLM_CPU_KVCACHE_SPACE": "400"}}, "checks": {"disabled": {"hostMemory": True}}},
        "less than requested memory for kv",
    ),
    "failed warm-up": ({"warmup": {"enabled": True, "request": {"body": {"model": "nobody"}}}}, "Warm-up failed"),
}


@pytest.mark.parametrize("failure", FAILED_STARTS)
def test_a_start_that_fails_says_why_in_the_last_state(
    broken: Callable[[dict[str, Any]], str], failure: str, record: Record
) -> None:
    values, reason = FAILED_STARTS[failure]
    message = broken(values)
    lines = [line for line in message.splitlines() if reason in line]
    record(f"start fails: {failure}", reason=lines[0][:300] if lines else message[-300:])
    assert lines
