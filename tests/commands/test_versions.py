"""What two files must say alike, because a tool reads each of them."""

import re

import pytest

from ci import go_programs
from ci.common import ROOT, VERSIONS
from vllm_chart.render import helm


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        ("kubernetes", "kubernetes", "k8s.io/kubernetes v"),
        ("etcd", "etcd", "go.etcd.io/etcd/server/v3 v"),
        ("coredns", "kubernetes", "github.com/coredns/coredns v"),
    ],
)
def test_a_go_module_pins_the_version_that_versions_toml_names(name: str, module: str, line: str) -> None:
    text = (go_programs.MODULES / module / "go.mod").read_text()
    assert re.findall(rf"{re.escape(line)}(\S+)", text) == [VERSIONS["build"][name]]


def test_the_controller_of_groups_is_of_the_version_of_its_custom_resource() -> None:
    text = (go_programs.MODULES / "lws" / "go.mod").read_text()
    (pinned,) = re.findall(r"sigs.k8s.io/lws v(\S+)", text)
    assert pinned == VERSIONS["addons"]["lws"] == VERSIONS["custom-resources"]["lws"]


def test_the_renderer_is_of_the_version_of_helm() -> None:
    text = (go_programs.MODULES / "renderer" / "go.mod").read_text()
    assert re.findall(r"helm.sh/helm/v4 v(\S+)", text) == [VERSIONS["tools"]["helm"]["version"]]


def test_the_registry_of_the_release_tests_is_of_the_version_that_versions_toml_names() -> None:
    text = (go_programs.MODULES / "distribution" / "go.mod").read_text()
    assert re.findall(r"github.com/distribution/distribution/v3 v(\S+)", text) == [VERSIONS["release"]["distribution"]]


def test_the_image_locks_the_torch_that_versions_toml_names() -> None:
    lock = (ROOT / "ci/offline/vllm/torch-from-pypi.txt").read_text()
    assert re.findall(r"^torch==(\S+)", lock, re.M) == [VERSIONS["vllm"]["torch"]]


def test_the_oldest_helm_that_is_tested_is_of_the_oldest_minor_that_is_supported() -> None:
    oldest = VERSIONS["tools"]["helm"]["oldest"]
    assert oldest.rpartition(".")[0] == ".".join(map(str, helm.OLDEST))
