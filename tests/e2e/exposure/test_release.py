"""A release out of an OCI registry, installed by itself and as a part of another chart, as in docs/vendoring.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.demo import MODEL
from ci.helm_release import HelmRelease
from scripts import release
from tests.e2e import registry
from tests.e2e.conftest import FILES
from tests.e2e.exposure.workbench import ANSWER, ask, client, exposures, names
from vllm_chart.chart import CHART

VERSION = str(yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"])
CHANGELOG = f"## [{VERSION}]\n\n### Added\n\n- This commit.\n"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where this commit's chart was pushed, as oci://host:port/charts."""
    folder = tmp_path_factory.mktemp("published")
    package = release.package(CHART, CHANGELOG, folder / "made")
    with registry.serve(folder) as address:
        target = f"oci://{address}/charts"
        release.push(package, target, options=("--plain-http",))
        yield target


@pytest.fixture(scope="module")
def own_values(values: dict[str, Any]) -> dict[str, Any]:
    """What these tests lay over values/cpu.yaml: the cluster's own model."""
    return {name: values[name] for name in ("model", "drain")}


@pytest.mark.usefixtures("gateway_kinds")
def test_a_release_is_installed_from_a_registry_and_tested_with_every_exposure(
    published: str, new_release: Callable[..., HelmRelease], own_values: dict[str, Any]
) -> None:
    release = new_release("pulled")
    values = own_values | exposures()
    words = [f"{published}/vllm", f"--version={VERSION}", "--plain-http"]
    files = [word for file in FILES for word in ("--values", str(file))]
    release.helm("install", release.name, *words, *files, "--values=-", stdin=json.dumps(values))
    release.wait()
    for kind in ("ingress", "httproute", "inferencepool", "networkpolicy"):
        release.kubectl("get", kind, release.name)
    with client(release) as api:
        assert names(api) == {MODEL}
        assert ANSWER in ask(api, MODEL)
    said = release.helm("test", release.name, "--logs", "--timeout=4m")
    assert "/v1/chat/completions streams to its end" in said
    release.kubectl("delete", "pods", "--field-selector=status.phase=Succeeded")  # the test's own outlives the release
    release.uninstall()  # the next server has its cores


def test_a_release_is_a_part_of_another_chart(
    published: str, new_release: Callable[..., HelmRelease], own_values: dict[str, Any], tmp_path: Path
) -> None:
    dependency = {"name": "vllm", "alias": "chat", "version": VERSION, "repository": published}
    parent = {"apiVersion": "v2", "name": "assistants", "version": "1.0.0"}
    parent |= {"dependencies": [dependency | {"condition": "chat.enabled"}]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(parent), encoding="utf-8")
    release = new_release("assistants")
    release.helm("dependency", "update", tmp_path, "--plain-http")
    (cpu,) = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES)
    release.helm("install", release.name, tmp_path, "--values=-", stdin=json.dumps({"chat": cpu | own_values}))
    release.kubectl("rollout", "status", "deployment/assistants-chat", "--timeout=600s")
    with client(release, "assistants-chat") as api:
        assert ANSWER in ask(api, MODEL)
