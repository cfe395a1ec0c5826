"""One release with keys, a certificate, an adapter and all that exposes it: what clients may do, and what stays secret.

The tests build on each other: the second key comes, clients change to it, the first one goes.
"""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from tests.e2e.conftest import FILES
from tests.e2e.exposure.workbench import (
    ANSWER,
    CLAIM,
    NAMESPACE,
    STREAMS,
    Workbench,
    ask,
    exposures,
    names,
    nothing_lost,
)
from tests.e2e.load import Load, under_load
from vllm_chart.process import run

NAME = "guarded"
Record = Callable[..., None]
#: What reads the command lines of every process in a pod.
COMMAND_LINES = (
    "import glob\n"
    "for file in glob.glob('/proc/[0-9]*/cmdline'):\n"
    "  try: print(open(file).read().replace(chr(0), ' '))\n"
    "  except OSError: pass\n"
)


@dataclass(frozen=True)
class Guarded:
    """The release as its clients see it.

    Attributes:
        release: what is installed.
        values: with which it was installed.
        keys: key by its name in the values.
        trust: what takes the release's certificate and no other.
    """

    release: HelmRelease
    values: dict[str, Any]
    keys: dict[str, str]
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return base_url().replace("http://", "https://")

    def client(self, key: str = "") -> httpx.Client:
        """A client with the key of that name, or with none."""
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, verify=self.trust, timeout=120)

    def load(self, key: str) -> Load:
        """Clients that use one key."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"}
        return Load(self.url, MODEL, STREAMS, headers, verify=self.trust)

    def install(self, *keys: str, **model: Any) -> None:
        """Let the server take these keys, and return when no other server is left."""
        references = {name: {"existingSecret": "api-keys", "key": name} for name in keys}
        server = self.values["server"] | {"apiKey": {"keys": references}}
        lora = self.values["model"]["lora"] | model
        values = self.values | {"server": server, "model": self.values["model"] | {"lora": lora}}
        self.release.install(FILES, values)
        self.release.settle()

    def where_keys_are(self) -> list[str]:
        """Places that people may look into and that hold a key."""
        release = self.release
        (pod,) = [item["metadata"]["name"] for item in release.pods()]
        # each with a text that it must hold, or nothing was looked at
        places = {
            "command lines": (release.kubectl("exec", pod, "--", "python3", "-c", COMMAND_LINES), "VLLM::EngineCore"),
            "logs": (release.kubectl("logs", pod, "--all-containers", "--tail=-1"), "Application startup complete"),
            "objects": (release.kubectl("get", "pod,deployment,replicaset,configmap", "--output=json"), "api-keys"),
            "events": (release.kubectl("get", "events", "--output=json"), NAME),
            "helm get all": (release.helm("get", "all", release.name), "existingSecret: api-keys"),
        }
        for place, (text, landmark) in places.items():
            assert landmark in text, f"{place} lacks {landmark}"
        return [place for place, (text, _) in places.items() if any(key in text for key in self.keys.values())]


def _certificate(folder: Path) -> dict[str, str]:
    """A key, and a certificate that is its own authority, for the Service and for 127.0.0.1."""
    key, certificate = folder / "tls.key", folder / "tls.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    alternatives = f"subjectAltName=DNS:{NAME}.{NAMESPACE}.svc,IP:127.0.0.1"
    run([*command, "-addext", alternatives, "-keyout", key, "-out", certificate])
    public = certificate.read_text(encoding="utf-8")
    return {"tls.key": key.read_text(encoding="utf-8"), "tls.crt": public, "ca.crt": public}


@pytest.fixture(scope="module")
def guarded(
    workbench: Workbench,
    new_release: Callable[..., HelmRelease],
    values: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Guarded]:
    """The release, Ready, with its first key."""
    release = new_release(NAME)
    keys = {name: secrets.token_hex(16) for name in ("first", "second")}
    certificate = _certificate(tmp_path_factory.mktemp("certificate"))
    contents = {"api-keys": keys, "certificate": certificate}
    # one that lets in only pods of which each container has a limit
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "limits"}}
    workbench.start(
        quota | {"spec": {"hard": {"limits.memory": "64Gi"}}},
        *(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}
            for name, content in contents.items()
        ),
    )
    adapters = {"shout": {"uri": f"pvc://{CLAIM}/models/adapters/shout"}}
    exposed = exposures()
    exposed.pop("inferencePool", None)  # which speaks plain HTTP to its servers
    all_values = {
        **values,
        **exposed,
        "model": {"uri": f"pvc://{CLAIM}/models/smollm2", "name": MODEL, "lora": {"adapters": adapters}},
        "server": {"tls": {"existingSecret": "certificate", "caKey": "ca.crt"}},
        "warmup": {"enabled": True, "request": {"body": {"model": "shout"}}},
    }
    guarded = Guarded(release, all_values, keys, ssl.create_default_context(cadata=certificate["tls.crt"]))
    try:
        guarded.install("first")
        yield guarded
    finally:
        workbench.remove("resourcequota/limits", *(f"secret/{name}" for name in contents))


def _helm_test(guarded: Guarded, *keys: str) -> None:
    said = guarded.release.helm("test", NAME, "--logs", "--timeout=3m")
    expected = [f"/v1/models lists {MODEL}, shout", "streams to its end", "a wrong key is refused", "no key is refused"]
    for line in [*expected, *(f"key {key} is accepted" for key in keys), "/metrics counts requests"]:
        assert line in said


def test_helm_test_passes_with_a_key_a_certificate_an_adapter_and_every_exposure(guarded: Guarded) -> None:
    _helm_test(guarded, "first")


def test_the_server_speaks_https_alone_and_the_kubelet_and_scrapers_follow(guarded: Guarded) -> None:
    with guarded.client() as api:
        assert "vllm:num_requests_running" in api.get("/metrics").raise_for_status().text
        api.get("/health").raise_for_status()
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{base_url()}/health")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{guarded.url}/health")
    (pod,) = guarded.release.pods()
    assert pod["metadata"]["annotations"]["prometheus.io/scheme"] == "https"
    (status,) = pod["status"]["containerStatuses"]
    assert status["ready"]
    assert status["restartCount"] == 0


@pytest.mark.parametrize("key", ["", "second", "not-a-key"])
def test_no_key_and_a_wrong_one_are_refused(guarded: Guarded, key: str) -> None:
    with guarded.client(key) as api:
        assert api.get("/v1/models").status_code == 401
        assert api.post("/v1/chat/completions", json={"model": MODEL, "messages": []}).status_code == 401


def test_an_adapter_is_listed_and_answers_by_its_name(guarded: Guarded, record: Record) -> None:
    with guarded.client("first") as api:
        assert names(api) == {MODEL, "shout"}
        answers = {name: ask(api, name) for name in (MODEL, "shout")}
    record("the model and its adapter say", **answers)
    assert ANSWER in answers[MODEL]
    assert answers["shout"] != answers[MODEL]


def test_the_warm_up_asks_the_adapter_with_the_key_before_the_port_opens(guarded: Guarded) -> None:
    log = guarded.release.kubectl("logs", f"deployment/{NAME}", "--tail=-1")
    steps = ["Warm-up: POST /v1/chat/completions", "Warm-up: done", "Application startup complete"]
    places = [log.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)


def test_adapters_are_not_loaded_at_run_time_by_default(guarded: Guarded) -> None:
    with guarded.client("first") as api:
        assert _load_adapter(api) == 404
        assert api.post("/adapters", json={"name": "late", "src": "/adapters/shout"}).status_code == 404


def _load_adapter(api: httpx.Client) -> int:
    late = {"lora_name": "late", "lora_path": "/adapters/shout/models/adapters/shout"}
    return api.post("/v1/load_lora_adapter", json=late).status_code


def test_one_key_is_nowhere_to_be_read(guarded: Guarded) -> None:
    assert not guarded.where_keys_are()


def test_a_key_is_changed_without_a_pause_under_a_quota(guarded: Guarded, record: Record) -> None:
    old = guarded.load("first")
    with under_load(old):
        guarded.install("first", "second", runtimeUpdates=True)
        both = guarded.where_keys_are()
        _helm_test(guarded, "first", "second")
        new = guarded.load("second")
        new.start()
    try:
        updates = _run_time_updates(guarded)
        guarded.install("second")
    finally:
        new.stop()
    reports = {"the first key": old.report, "the second key": new.report}
    for clients, report in reports.items():
        record(f"key rotated, 1 replica, surge; clients with {clients}", report)
        nothing_lost(report)
    assert not both
    assert updates == {"no key": 401, "past the key": {404}, "second": 200, "served": True}
    with guarded.client("first") as api:
        assert api.get("/v1/models").status_code == 401
    with guarded.client("second") as api:
        assert MODEL in names(api)


def _run_time_updates(guarded: Guarded) -> dict[str, object]:
    """Load an adapter where that is allowed: the status without and with a key, and whether it is served then.

    A stranger also tries vLLM's paths that want no key, to load one, and to take away the one that is served.
    """
    with guarded.client() as stranger, guarded.client("second") as api:
        found: dict[str, object] = {"no key": _load_adapter(stranger), "second": _load_adapter(api)}
        source = {"name": "strange", "src": "/adapters/shout/models/adapters/shout"}
        tries = [
            stranger.post(path, json=source) for path in ("/adapters", "/adapters/", "/%61dapters", "/adapters%0A")
        ]
        tries += [stranger.delete(path) for path in ("/adapters/late", "/adapters/shout")]
        found["past the key"] = {answer.status_code for answer in tries}
        found["served"] = bool(ask(api, "late")) and names(api) == {MODEL, "shout", "late"}
    return found


def test_the_keys_that_were_changed_are_nowhere_to_be_read(guarded: Guarded) -> None:
    assert not guarded.where_keys_are()
    values = json.loads(guarded.release.helm("get", "values", NAME, "--output=json"))
    assert values["server"]["apiKey"]["keys"].keys() == {"second"}
