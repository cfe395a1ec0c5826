"""A start is never cut short, a first request costs no more than the tenth, and a full server says so."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ci import cluster
from ci.common import ROOT
from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from tests.e2e.load import Load, Stream, under_load
from tests.e2e.terminations import PodTerminations
from vllm_chart.chart import CHART

Install = Callable[..., None]
Record = Callable[..., None]
#: Longer than Kubernetes' and Helm's own patience of 10 and 5 minutes.
LONG_START_SECONDS = 660
KILLED = 137


@dataclass(frozen=True)
class Late:
    """A release that `helm install --wait` waits for.

    Attributes:
        release: what is installed.
        timeout: Helm's, as the chart's notes advise it.
        helm: which still waits, or has ended.
    """

    release: HelmRelease
    timeout: str
    helm: subprocess.Popen[str]


@pytest.fixture(scope="module")
def long_start(
    release: HelmRelease, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Late]:
    """A release whose server needs eleven minutes to start, begun before the other tests of this file.

    Instead of vLLM it waits and then answers: what is looked at is who loses patience.
    """
    server = (
        "import http.server, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
        f"time.sleep({LONG_START_SECONDS})\n"
        "class Answer(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('', 8000), Answer).serve_forever()\n"
    )
    container = {"name": "vllm", "command": ["python3", "-c", server], "args": []}
    late = HelmRelease("late", release.namespace)
    small = {"requests": {"cpu": "10m", "memory": "5Gi"}, "limits": {"memory": "5Gi"}}
    file = tmp_path_factory.mktemp("late") / "values.yaml"
    other = {"podSpec": {"containers": [container]}, "checks": {"disabled": {"podSpec": True}}}
    file.write_text(json.dumps({"model": values["model"], "resources": small, **other}))
    install = ["install", late.name, str(CHART), f"--values={ROOT / 'values' / 'cpu.yaml'}", f"--values={file}"]
    flags = re.search(r"add --wait --timeout (\S+) to install", late.helm(*install, "--dry-run=client"))
    assert flags
    late.uninstall()
    where = [f"--kubeconfig={cluster.KUBECONFIG}", f"--namespace={late.namespace}"]
    command = ["helm", *where, *install, "--wait", f"--timeout={flags[1]}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as helm:
        yield Late(late, flags[1], helm)
        helm.terminate()
    late.uninstall()


def _first_and_tenth() -> tuple[float, float]:
    """Seconds that the first and the tenth request took after a start."""
    load = Load(base_url(), MODEL, [Stream("new")])
    with under_load(load):
        deadline = time.monotonic() + 300
        while len(load.report.outcomes) < 10:
            assert time.monotonic() < deadline, "ten requests take longer than 5 minutes"
            time.sleep(0.1)
    assert not load.report.failures()
    return load.report.outcomes[0].first_token, load.report.outcomes[9].first_token


@pytest.mark.usefixtures("long_start")
@pytest.mark.parametrize("enabled", [False, True], ids=["without", "with"])
def test_the_first_request_after_a_start(install: Install, record: Record, enabled: bool) -> None:
    install(
        warmup={"enabled": enabled}, strategy={"type": "Recreate"}, podAnnotations={"example.com/warm": str(enabled)}
    )
    first, tenth = _first_and_tenth()
    record(
        f"first request {'with' if enabled else 'without'} warm-up",
        first_token=f"{first:.2f} s",
        tenth=f"{tenth:.2f} s",
        ratio=f"{first / tenth:.2f}",
    )


def _overload(clients: int, seconds: float) -> Load:
    load = Load(base_url(), MODEL, [Stream("new", max_tokens=16)] * clients)
    with under_load(load):
        time.sleep(seconds)
    return load


def _only_refusals(load: Load) -> None:
    # a stream may have begun before the engine refuses: the refusal is then an event in it
    refused = [f for f in load.report.failures() if "status 503" in f or re.search(r'"code": ?503', f)]
    assert refused, "nobody was refused: the server wasn't full"
    assert refused == load.report.failures(), "a request that was admitted didn't complete"
    assert len(load.report.outcomes) > len(refused)


def test_a_full_server_answers_503_and_completes_what_it_admitted(
    install: Install, release: HelmRelease, record: Record
) -> None:
    install(server={"maxConcurrentRequests": 3})
    load = _overload(clients=12, seconds=30)
    record("12 clients, maxConcurrentRequests 3", load.report)
    _only_refusals(load)
    (pod,) = release.pods()
    status = release.status(pod["metadata"]["name"])
    assert status["ready"]
    assert status["restartCount"] == 0


@pytest.fixture(scope="module")
def two_servers() -> dict[str, Any]:
    """Values with two API servers in each pod."""
    return {"engine": {"args": {"api-server-count": 2}}}


def _both_kinds() -> Load:
    return Load(base_url(), MODEL, [Stream("new"), Stream("reused")])


def test_two_api_servers_lose_nothing_in_a_rolling_update(
    install: Install, two_servers: dict[str, Any], terminations: PodTerminations, record: Record
) -> None:
    install(**two_servers)
    with under_load(_both_kinds()) as load:
        install(**two_servers, podAnnotations={"example.com/round": "two"})
    record("rolling update, two API servers", load.report, exit_codes=sorted(terminations.exit_codes.values()))
    assert not load.report.failures()
    assert terminations.exit_codes
    assert KILLED not in terminations.exit_codes.values()


def test_two_api_servers_lose_nothing_when_one_of_two_pods_is_deleted(
    install: Install, release: HelmRelease, two_servers: dict[str, Any], terminations: PodTerminations, record: Record
) -> None:
    install(**two_servers, replicas=2)
    name = release.pods()[0]["metadata"]["name"]
    with under_load(_both_kinds()) as load:
        release.kubectl("delete", "pod", name)
        release.settle()
    record("one of two pods deleted, two API servers", load.report, exit_code=terminations.exit_codes[name])
    assert not load.report.failures()
    assert terminations.exit_codes[name] != KILLED


def test_two_api_servers_that_are_the_last_cut_no_answer(
    install: Install, two_servers: dict[str, Any], terminations: PodTerminations, record: Record
) -> None:
    recreated = two_servers | {"strategy": {"type": "Recreate"}}
    install(**recreated)
    with under_load(_both_kinds()) as load:
        install(**recreated, podAnnotations={"example.com/round": "last"})
    record(
        "rolling update, 1 replica, no surge, two API servers",
        load.report,
        exit_codes=[*terminations.exit_codes.values()],
    )
    assert load.report.failures(), "a gap without failures would be news"
    assert not load.report.cut()
    assert terminations.exit_codes
    assert KILLED not in terminations.exit_codes.values()


def test_two_api_servers_share_the_limit_and_count_together(
    install: Install, two_servers: dict[str, Any], record: Record
) -> None:
    install(**two_servers, server={"maxConcurrentRequests": 4})
    before = _completions()
    load = _overload(clients=12, seconds=30)
    record("12 clients, two API servers, maxConcurrentRequests 4", load.report)
    _only_refusals(load)
    assert _completions() - before == len(load.report.outcomes)


def _completions() -> float:
    """Requests for chat completions that the server has counted, whatever the answer."""
    metrics = httpx.get(f"{base_url()}/metrics", timeout=30).raise_for_status().text
    counts = re.findall(r'^http_requests_total\{[^}]*handler="/v1/chat/completions"[^}]*\} (\S+)$', metrics, re.M)
    return sum(map(float, counts))


def test_a_second_start_reuses_compiled_code(install: Install, release: HelmRelease, record: Record) -> None:
    claim = {"compile": {"type": "claim", "size": "2Gi", "keep": False}}
    seconds = []
    for number in ("first", "second"):
        install(
            cache=claim,
            engine={"args": {"enforce-eager": False}},
            podAnnotations={"example.com/start": number},
        )
        seconds.append(release.start_seconds())
    record("compile cache on a claim", first_start=f"{seconds[0]:.0f} s", second_start=f"{seconds[1]:.0f} s")


def test_a_start_of_eleven_minutes_is_waited_for(long_start: Late, record: Record) -> None:
    said, _ = long_start.helm.communicate(timeout=LONG_START_SECONDS)
    late = long_start.release
    seconds = late.start_seconds()
    record(f"helm install --wait --timeout {long_start.timeout} of a long start", ready_after=f"{seconds:.0f} s")
    assert long_start.helm.returncode == 0, said
    assert seconds > LONG_START_SECONDS
    (pod,) = late.pods()
    assert late.status(pod["metadata"]["name"])["restartCount"] == 0
    deployment = json.loads(late.kubectl("get", "deployment", late.name, "--output=json"))
    conditions = {c["type"]: c["reason"] for c in deployment["status"]["conditions"]}
    assert conditions["Progressing"] == "NewReplicaSetAvailable"
