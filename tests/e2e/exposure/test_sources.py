"""Models from a claim, from the server's own files and from an S3 server; whole ones and quantized ones.

The first two are served by releases with the longest names that Helm takes, side by side in one namespace.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import go_programs, load_images
from ci.common import ROOT, VERSIONS, digest, product
from ci.helm_release import HelmRelease
from ci.offline import vllm_image
from tests.e2e.exposure.workbench import ANSWER, CLAIM, Workbench, ask, client, names, pod
from vllm_chart.cache import CACHE

CPU = ROOT / "values" / "cpu.yaml"
ONE, TWO = (f"{'long-' * 10}{end}" for end in ("one", "two"))
NewRelease = Callable[..., HelmRelease]
#: The claim as a volume of a server, and where it is mounted.
MOUNTED: dict[str, Any] = {
    "extraVolumes": {"claim": {"persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True}}},
    "extraVolumeMounts": {"/srv": {"name": "claim", "readOnly": True}},
}


def _log(release: HelmRelease) -> str:
    return release.kubectl("logs", f"deployment/{release.name}", "--tail=-1")


# -- a claim and files, quantized


@pytest.fixture(scope="module")
def two(workbench: Workbench, new_release: NewRelease) -> dict[str, HelmRelease]:
    """Two releases by the name of the model that each serves; they start together.

    vLLM computes with 4-bit weights only on CPUs with AVX-512; elsewhere the second one serves the whole model.
    """
    second = "smollm2-gptq" if "avx512f" in workbench.run("cat", "/proc/cpuinfo") else "smollm2"
    releases = {"int8": new_release(ONE), second: new_release(TWO)}
    model = {"uri": "file:///srv/models/smollm2-int8", "name": "int8"}
    # vLLM has no kernels of quantized weights for float32
    bfloat16: dict[str, Any] = {"engine": {"args": {"dtype": "bfloat16"}}}
    int8 = {"model": model} | MOUNTED | bfloat16
    releases["int8"].install([ROOT / "values" / "quantized-int8.yaml", CPU], int8)
    files, values = [CPU], {"model": {"uri": f"pvc://{CLAIM}/models/{second}"}}
    if second == "smollm2-gptq":
        files.insert(0, ROOT / "values" / "quantized-gptq.yaml")
        values |= bfloat16
    releases[second].install(files, values)
    for release in releases.values():
        release.wait()
    return releases


def test_two_releases_with_names_of_53_characters_serve_each_its_own_model(two: dict[str, HelmRelease]) -> None:
    for name, release in two.items():
        assert len(release.name) == 53
        with client(release) as api:
            assert names(api) == {name}
            assert ANSWER in ask(api, name)


def test_a_model_with_8_bit_weights_and_activations_is_served_by_its_values_file(two: dict[str, HelmRelease]) -> None:
    assert "quantization=compressed-tensors" in _log(two["int8"])


def test_a_model_with_4_bit_weights_is_served_by_its_values_file(two: dict[str, HelmRelease]) -> None:
    if "smollm2-gptq" not in two:
        pytest.skip("vLLM has no 4-bit kernels for CPUs without AVX-512")
    assert "quantization=auto_gptq" in _log(two["smollm2-gptq"])


def test_helm_test_passes_beside_another_release(two: dict[str, HelmRelease]) -> None:
    for name, release in two.items():
        assert f"/v1/models lists {name}" in release.helm("test", release.name, "--logs", "--timeout=3m")


# -- object storage


def _packages() -> Path:
    """A folder of what vLLM reads object storage by, which its CPU images lack; installed when it isn't there."""
    pins = [f"{name}=={version}" for name, version in VERSIONS["streamer"].items()]
    target = CACHE / "streamer" / digest(*pins)
    if not target.exists():
        with product(target) as folder:
            vllm_image.install_packages(folder, *pins)
    return target


@pytest.fixture(scope="module")
def storage(workbench: Workbench) -> Iterator[str]:
    """An S3 server at http://storage:7070 with the claim's folders as buckets; the name of the Secret with its keys."""
    program = go_programs.VERSITYGW.build() / "versitygw"
    workbench.copy(program, "/claim/versitygw")
    workbench.copy(_packages(), "/claim/packages")
    workbench.run("chmod", "+x", "/claim/versitygw")
    keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16)}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "storage"}, "stringData": keys}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "storage"},
        "spec": {"selector": {"app": "storage"}, "ports": [{"port": 7070}]},
    }
    names = {"ROOT_ACCESS_KEY": "AWS_ACCESS_KEY_ID", "ROOT_SECRET_KEY": "AWS_SECRET_ACCESS_KEY"}
    environment = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "storage", "key": key}}} for name, key in names.items()
    ]
    server = pod(
        "storage",
        ["/claim/versitygw", "--port=:7070", "posix", "--nometa", "--default-etag=none", "/claim"],
        {},
        env=environment,
        readinessProbe={"tcpSocket": {"port": 7070}, "periodSeconds": 1},
    )
    workbench.start(secret, service, server)
    yield "storage"
    workbench.remove("pod/storage", "service/storage", "secret/storage")


def test_a_model_is_streamed_out_of_a_bucket(storage: str, new_release: NewRelease) -> None:
    release = new_release("bucket")
    environment = {
        "AWS_ENDPOINT_URL": "http://storage:7070",
        "AWS_DEFAULT_REGION": "us-east-1",
        # the server knows buckets by path, not by a host name of their own
        "RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING": "0",
        "PYTHONPATH": "/srv/packages",
    }
    model = {"uri": "s3://models/smollm2", "credentials": {"existingSecret": storage}}
    release.install([CPU], {"model": model, "engine": {"env": environment}} | MOUNTED)
    release.wait()
    with client(release) as api:
        assert names(api) == {"smollm2"}
        assert ANSWER in ask(api, "smollm2")
    assert "Runai Model Streamer" in _log(release)


# -- an image that can't be copied


def test_an_image_without_cp_is_named_where_it_fails(new_release: NewRelease) -> None:
    uri = load_images.model()
    if not uri:
        pytest.skip("the model comes from Hugging Face: there is no image without cp")
    release = new_release("copied")
    release.install([CPU], {"model": {"uri": uri, "copyFrom": "/models"}})
    deadline = time.monotonic() + 120
    while 'exec: "cp": executable file not found' not in (found := _init_messages(release)):
        assert time.monotonic() < deadline, found or "no init container has ended"
        time.sleep(0.5)


def _init_messages(release: HelmRelease) -> str:
    """What the init containers of a release's pods ended with."""
    statuses = [s for p in release.pods() for s in p["status"].get("initContainerStatuses", [])]
    return json.dumps([[s["state"], s["lastState"]] for s in statuses]).replace('\\"', '"')
