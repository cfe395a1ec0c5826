"""What the tests of this stage share: a claim with one model in several forms, a Hub that has it, kinds of gateways."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import load_images
from ci.addons import install as addons
from ci.helm_release import HelmRelease
from tests.e2e.exposure.workbench import CLAIM, NAMESPACE, Workbench, claim, cpu_model, pod

#: Fetches the model where the nodes don't have it.
DOWNLOAD = "from huggingface_hub import snapshot_download; snapshot_download({!r}, local_dir='/claim/source')"


@pytest.fixture(scope="session")
def workbench() -> Iterator[Workbench]:
    """A pod with the claim, which holds what models.py makes under models/; both end with the stage."""
    place = HelmRelease("workbench", NAMESPACE)
    place.create_namespace()
    bench = Workbench(place)
    everything = (f"pod/{place.name}", f"persistentvolumeclaim/{CLAIM}")
    bench.remove(*everything)
    bench.remove("resourcequotas", "--all")  # of a run that was killed
    uri = load_images.model()
    mounted = {"/source": {"image": {"reference": uri.removeprefix("oci://")}}} if uri else {}
    bench.start(claim(CLAIM), pod(place.name, ["sleep", "infinity"], mounted))
    try:
        if not uri:
            bench.run("python3", "-c", DOWNLOAD.format(cpu_model()))
        bench.run("mkdir", "/claim/models")
        program = Path(__file__).with_name("models.py").read_text(encoding="utf-8")
        bench.run("python3", "-", "/source" if uri else "/claim/source", "/claim/models", stdin=program)
        yield bench
    finally:
        bench.remove(*everything)
        bench.remove("pods", "--field-selector=status.phase=Succeeded")  # those of `helm test` outlive their releases


@pytest.fixture(scope="module")
def hub(workbench: Workbench) -> Iterator[dict[str, Any]]:
    """Values of a server whose model comes from a Hub at http://hub:8080, by token and revision, onto claim weights.

    To be asked for before `new_release`, as the claim can go only when no server has it.
    """
    token = {"token": f"hf_{secrets.token_hex(16)}"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "stringData": token}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hub"},
        "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8080}]},
    }
    program = Path(__file__).with_name("hub.py").read_text(encoding="utf-8")
    command = ["python3", "-u", "-c", program, "/claim/models/smollm2", "team/small", "v1", token["token"]]
    server = pod("hub", command, {}, readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
    workbench.start(secret, service, claim("weights"), server)
    yield {
        "model": {
            "uri": "hf://team/small",
            "revision": "v1",
            "credentials": {"existingSecret": "hub", "key": "token"},
        },
        "cache": {"model": {"type": "existing", "claimName": "weights"}},
        "engine": {"env": {"HF_ENDPOINT": "http://hub:8080"}},
    }
    workbench.remove("pod/hub", "service/hub", "secret/hub", "persistentvolumeclaim/weights")


@pytest.fixture(scope="module")
def gateway_kinds() -> Iterator[None]:
    """The kinds of Gateway API and InferencePool, which nobody serves."""
    with addons.gateway_kinds():
        yield
