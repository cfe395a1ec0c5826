"""Through Envoy, as Contour sets it up for an Ingress and an HTTPRoute, clients get what they get directly."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median
from typing import Any

import httpx
import pytest

from ci import cluster
from ci.addons import install as addons
from ci.chat import lines
from ci.demo import MODEL
from ci.helm_release import HelmRelease
from tests.e2e.conftest import DELAY_SECONDS, FILES
from tests.e2e.load import MODES, Load, Stream, under_load
from tests.e2e.terminations import PodTerminations
from vllm_chart.process import run

INGRESS, GATEWAY = "llm.example.com", "gateway.example.com"
CONTOUR = HelmRelease("contour", "projectcontour")
KEY = "a-key-of-this-test"
ENVOY_TIMEOUT_SECONDS = 15  # of a whole answer, where neither Ingress nor route says otherwise
#: What Contour must be told for answers that take longer; an HTTPRoute says it by itself.
PATIENT = {"projectcontour.io/response-timeout": "1h"}
EXPOSED: dict[str, Any] = {
    "server": {"apiKey": {"keys": {"main": {"existingSecret": "proxy-key", "key": "key"}}}},
    "ingress": {"enabled": True, "className": "contour", "hosts": {INGRESS: {}}},
    "httpRoute": {
        "enabled": True,
        "parentRefs": [{"name": "public", "namespace": CONTOUR.namespace}],
        "hostnames": [GATEWAY],
    },
    "networkPolicy": {"enabled": True, "namespaces": {CONTOUR.namespace: True}},
}
#: As in e2e/core: also one client that idles longer than the drain's delay, and one with long answers.
STREAMS = [
    Stream("new", pause=1),
    Stream("reused", pause=1),
    Stream("reused", pause=DELAY_SECONDS + 4),
    Stream("new", max_tokens=300, pause=2),
]
KILLED = 137
#: Paths of vLLM that are for its operator, or that its key doesn't guard.
INTERNAL = (
    "/invocations",
    "/tokenize",
    "/detokenize",
    "/scale_elastic_ep",
    "/is_scaling_elastic_ep",
    "/generative_scoring",
    "/metrics",
    "/load",
    "/version",
    "/health",
    "/ping",
    "/openapi.json",
    "/docs",
    "/pause",
    "/sleep",
    "/adapters",
)
#: The same in disguise.
DISGUISED = ("/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "//metrics", "/v1/..;/metrics", "/v1metrics")
Record = Callable[..., None]


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    """The URL of Envoy, on this machine."""
    with addons.contour(), CONTOUR.forward("deployment/contour", 8080) as address:
        yield f"http://{address}"


@pytest.fixture(scope="module")
def install(proxy: str, new_release: Callable[..., HelmRelease], values: dict[str, Any]) -> Callable[..., HelmRelease]:
    """Installs or upgrades the release with every exposure and a test's own values, and returns when it has settled."""
    assert proxy
    release = new_release("proxy")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy-key"}, "stringData": {"key": KEY}}
    release.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(secret))
    inside = {key: value for key, value in values.items() if key not in ("service", "checks")}

    def upgrade(**changes: Any) -> HelmRelease:
        release.install(FILES, inside | EXPOSED | changes)
        release.settle()
        return release

    return upgrade


@pytest.fixture(scope="module")
def exposed(install: Callable[..., HelmRelease]) -> HelmRelease:
    """The release, with an Ingress that knows nothing of timeouts."""
    return install()


@pytest.fixture(scope="module")
def patient(exposed: HelmRelease, install: Callable[..., HelmRelease]) -> HelmRelease:
    """The release, with an Ingress that lets answers take their time; its pods stay."""
    before = {pod["metadata"]["uid"] for pod in exposed.pods()}
    release = install(ingress=EXPOSED["ingress"] | {"annotations": PATIENT})
    assert {pod["metadata"]["uid"] for pod in release.pods()} == before
    return release


@pytest.fixture(scope="module")
def direct(exposed: HelmRelease) -> Iterator[str]:
    """The URL of the server without the proxy, on this machine."""
    with exposed.forward(f"service/{exposed.name}", 80) as address:
        yield f"http://{address}"


def _headers(host: str) -> dict[str, str]:
    return {"Host": host, "Authorization": f"Bearer {KEY}"}


def _await(url: str, host: str, path: str = "/v1/models") -> None:
    """Return when the proxy has learnt of a host."""
    deadline = time.monotonic() + 60
    while (status := httpx.get(f"{url}{path}", headers=_headers(host), timeout=10).status_code) != 200:
        assert time.monotonic() < deadline, f"{host}{path} is answered with {status} after 60 s"
        time.sleep(0.5)


def _arrivals(url: str, host: str, max_tokens: int) -> list[float]:
    """Seconds from the request to each piece of an answer of so many tokens.

    Raises:
        httpx.HTTPError, ValueError: where the answer is refused or cut.
    """
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Tell me a long story."}],
        "max_tokens": max_tokens,
        "ignore_eos": True,
        "stream": True,
    }
    arrivals, end, asked = [], "", time.monotonic()
    path = f"{url}/v1/chat/completions"
    with httpx.stream("POST", path, json=body, headers=_headers(host), timeout=180) as response:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}: {response.read().decode()[:200]}")
        for line in lines(response):
            if line.startswith("data: {"):
                arrivals.append(time.monotonic() - asked)
            end = line or end
    if end != "data: [DONE]":
        raise ValueError(f"the answer was cut after {arrivals[-1:]} s: {end[:200]}")
    return arrivals


def _ask(url: str, host: str, method: str, path: str) -> tuple[int, bytes]:
    """Status and text of an answer; the path is sent as it is, which httpx wouldn't."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        body = {"POST": b"{}"}.get(method)
        connection.request(method, path, body, _headers(host) | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _gap(arrivals: list[float]) -> float:
    return median(later - earlier for earlier, later in pairwise(arrivals))


def test_without_a_word_about_timeouts_the_proxy_cuts_a_long_answer(
    exposed: HelmRelease, proxy: str, record: Record
) -> None:
    assert exposed.pods()
    _await(proxy, INGRESS)
    asked = time.monotonic()
    with pytest.raises((httpx.HTTPError, ValueError)):
        _arrivals(proxy, INGRESS, 1800)
    record("Ingress without annotations, answer of 1,800 tokens", cut_after=f"{time.monotonic() - asked:.1f} s")


@pytest.mark.parametrize("host", [INGRESS, GATEWAY])
def test_an_answer_may_take_longer_than_the_timeout_of_the_proxy(
    patient: HelmRelease, proxy: str, record: Record, host: str
) -> None:
    assert patient.pods()
    _await(proxy, host)
    tokens = 500
    arrivals = _arrivals(proxy, host, tokens)
    while arrivals[-1] <= ENVOY_TIMEOUT_SECONDS and tokens < 1800:
        tokens = 1800  # a fast machine
        arrivals = _arrivals(proxy, host, tokens)
    record(f"{host}: long answer", seconds=f"{arrivals[-1]:.1f}", tokens=tokens)
    assert arrivals[-1] > ENVOY_TIMEOUT_SECONDS


@pytest.mark.parametrize("host", [INGRESS, GATEWAY])
def test_tokens_arrive_one_by_one(patient: HelmRelease, proxy: str, direct: str, record: Record, host: str) -> None:
    assert patient.pods()
    _await(proxy, host)
    pairs = [(_arrivals(proxy, host, 100), _arrivals(direct, host, 100)) for _ in range(3)]
    for through, _ in pairs:
        # a proxy that gathers gives all at the end
        assert len([at for at in through if at < 0.8 * through[-1]]) > len(through) / 2
    gaps = [(_gap(through), _gap(straight)) for through, straight in pairs]
    firsts = [(through[0], straight[0]) for through, straight in pairs]
    record(
        f"{host}: time between tokens, three pairs through the proxy and directly",
        milliseconds=", ".join(f"{1000 * a:.1f} and {1000 * b:.1f}" for a, b in gaps),
        ratio=f"{median(a / b for a, b in gaps):.2f}",
        first_token=", ".join(f"{a:.2f} s and {b:.2f} s" for a, b in firsts),
    )


@pytest.mark.parametrize("host", [INGRESS, GATEWAY])
def test_only_serving_paths_are_reached_from_outside(patient: HelmRelease, proxy: str, direct: str, host: str) -> None:
    assert patient.pods()
    _await(proxy, host)
    known = httpx.get(f"{direct}/openapi.json", timeout=60).json()["paths"]
    assert {"/invocations", "/tokenize", "/scale_elastic_ep"} <= known.keys(), (
        "vLLM has other paths than this test knows"
    )
    paths = {*INTERNAL, *(path for path in known if not path.startswith("/v1/"))}
    # what is refused as malformed is cut off, too, and a body on its way would be answered with a reset
    for method, some in (("GET", {*paths, *DISGUISED}), ("POST", paths)):
        for path in sorted(some):
            status, text = _ask(proxy, host, method, path)
            assert status in (400, 404), f"{method} {path}: {status} {text[:200]!r}"
            assert b"vllm:" not in text
    assert httpx.get(f"{proxy}/v1/models", headers={"Host": host}, timeout=30).status_code == 401
    assert httpx.get(f"{proxy}/v1/models", headers=_headers("another.example.com"), timeout=30).status_code == 404


def test_helm_test_passes_with_every_exposure(patient: HelmRelease) -> None:
    said = patient.helm("test", patient.name, "--logs", "--timeout=3m")
    assert "Succeeded" in said
    assert KEY not in said


def test_doctor_finds_nothing_wrong(patient: HelmRelease) -> None:
    where = ["--namespace", patient.namespace, "--kubeconfig", str(cluster.KUBECONFIG)]
    said = run([sys.executable, "-m", "vllm_chart", "doctor", patient.name, *where])
    assert f"serves {MODEL}: 1 of 1 ready, 0 restarts" in said
    assert "No problems found." in said
    assert KEY not in said


@pytest.mark.parametrize("host", [INGRESS, GATEWAY])
def test_a_rolling_update_behind_the_proxy_loses_nothing(
    patient: HelmRelease,
    install: Callable[..., HelmRelease],
    proxy: str,
    record: Record,
    host: str,
) -> None:
    _await(proxy, host)
    ingress = EXPOSED["ingress"] | {"annotations": PATIENT}
    load = Load(proxy, MODEL, STREAMS, _headers(host))
    with PodTerminations(str(cluster.KUBECONFIG), patient) as terminations, under_load(load):
        install(ingress=ingress, podAnnotations={"example.com/round": host})
    record(f"rolling update behind Envoy, {host}", load.report)
    for mode in MODES:
        assert load.report.requests(mode), f"no request was made on {mode} connections"
    assert not load.report.failures()
    assert terminations.exit_codes, "no server has ended"
    assert KILLED not in terminations.exit_codes.values()


def test_a_root_path_is_in_front_of_all_others(install: Callable[..., HelmRelease], proxy: str) -> None:
    server = EXPOSED["server"] | {"rootPath": "/llm"}
    release = install(ingress=EXPOSED["ingress"] | {"annotations": PATIENT}, server=server)
    for host in (INGRESS, GATEWAY):
        _await(proxy, host, "/llm/v1/models")
        assert _arrivals(f"{proxy}/llm", host, 8)
        for path in ("/v1/models", "/llm/metrics", "/llm/tokenize"):
            assert httpx.get(f"{proxy}{path}", headers=_headers(host), timeout=30).status_code == 404, path
    assert "Succeeded" in release.helm("test", release.name, "--logs", "--timeout=3m")
