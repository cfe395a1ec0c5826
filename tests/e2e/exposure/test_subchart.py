"""The chart twice inside another, plain and under an alias, with a condition, globals and anchors."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ci.common import ROOT
from ci.helm_release import HelmRelease
from ci.images import VLLM
from tests.e2e.exposure.workbench import ANSWER, CLAIM, QUESTION, Workbench, ask, client, names
from vllm_chart.chart import CHART

PARENT = """
apiVersion: v2
name: platform
version: 0.1.0
dependencies:
  - {name: vllm, version: ">=0.0.0-0", condition: vllm.enabled}
  - {name: vllm, version: ">=0.0.0-0", alias: embedding, condition: embedding.enabled}
  - {name: vllm, version: ">=0.0.0-0", alias: spare, condition: spare.enabled}
"""
#: The chat server reads its model from a claim; the other one copies it out of an image. The server image stands in for
#: a model's image with cp, and the claim that is mounted into the container for the folder of that image.
VALUES = f"""
x-cpu: &cpu
{textwrap.indent((ROOT / "values" / "cpu.yaml").read_text(encoding="utf-8"), "  ")}
global:
  imageRegistry: docker.io
  imagePullSecrets: [mirror]
vllm:
  <<: *cpu
  image: {{registry: nowhere.example}}
  model:
    uri: pvc://{CLAIM}/models/smollm2
    name: chat
embedding:
  <<: *cpu
  image: {{registry: nowhere.example}}
  model:
    uri: oci://{VLLM}
    name: embedding
    kind: embedding
    copyFrom: /claim/models/smollm2
  engine:
    args:
      dtype: float32
      enforce-eager: true
      max-model-len: 2048
      runner: pooling
    env: {{VLLM_CPU_KVCACHE_SPACE: "1"}}
  extraVolumes:
    claim: {{persistentVolumeClaim: {{claimName: {CLAIM}, readOnly: true}}}}
  initContainers:
    copy-model:
      volumeMounts: [{{name: claim, mountPath: /claim, readOnly: true}}]
spare:
  enabled: false
"""


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that uses ours."""
    folder = tmp_path_factory.mktemp("parent") / "platform"
    shutil.copytree(CHART, folder / "charts" / "vllm")
    (folder / "Chart.yaml").write_text(PARENT, encoding="utf-8")
    (folder / "values.yaml").write_text(VALUES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def platform(workbench: Workbench, new_release: Callable[..., HelmRelease], parent: Path) -> HelmRelease:
    """The parent, with both servers Ready."""
    assert workbench
    release = new_release("platform")
    release.helm("upgrade", "--install", release.name, parent)
    for name in _deployments(release):
        release.kubectl("rollout", "status", f"deployment/{name}", "--timeout=600s")
    return release


def _deployments(release: HelmRelease) -> dict[str, str]:
    """Ids of the Deployments by name."""
    selector = f"--selector=app.kubernetes.io/instance={release.name}"
    items = json.loads(release.kubectl("get", "deployments", selector, "--output=json"))["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


def test_each_use_serves_its_own_model_under_its_own_name(platform: HelmRelease) -> None:
    assert _deployments(platform).keys() == {"platform-vllm", "platform-embedding"}
    with client(platform, "platform-vllm") as api:
        assert names(api) == {"chat"}
        assert ANSWER in ask(api, "chat")


def test_an_embedding_is_made_of_a_model_that_was_copied_out_of_an_image(platform: HelmRelease) -> None:
    (question,) = [message["content"] for message in QUESTION["messages"]]
    with client(platform, "platform-embedding") as api:
        assert names(api) == {"embedding"}
        answer = api.post("/v1/embeddings", json={"model": "embedding", "input": question}).raise_for_status().json()
    (item,) = answer["data"]
    assert len(item["embedding"]) == 576
    assert abs(sum(number**2 for number in item["embedding"]) - 1) < 0.01


def test_helm_test_looks_at_both_uses(platform: HelmRelease) -> None:
    said = platform.helm("test", platform.name, "--logs", "--timeout=4m")
    for line in ("/v1/models lists chat", "/v1/chat/completions streams to its end", "/v1/models lists embedding"):
        assert line in said


def test_a_condition_takes_one_use_away_and_leaves_the_other_as_it_is(platform: HelmRelease, parent: Path) -> None:
    before = _deployments(platform)
    pods = {pod["metadata"]["name"] for pod in platform.pods()}
    platform.helm("upgrade", platform.name, parent, "--set=embedding.enabled=false")
    assert _deployments(platform) == {"platform-vllm": before["platform-vllm"]}
    assert {pod["metadata"]["name"] for pod in platform.pods()} == pods
