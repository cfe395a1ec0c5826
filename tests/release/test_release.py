"""A release is made, pushed to a registry on this machine, and used from there in the ways of docs/vendoring.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci import go_programs, tools
from ci.common import ROOT
from scripts import release
from scripts.docs import snippets
from scripts.generate import project_files
from scripts.project import Maintainer, Project
from scripts.release import Signature
from tests.e2e import registry
from vllm_chart.chart import CHART
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import run
from vllm_chart.render import go_yaml
from vllm_chart.render.helm import KUBE_VERSION

VERSION = str(go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"])
REPOSITORY = "https://github.com/example/vllm-chart"
PROJECT = Project(REPOSITORY, "https://example.github.io/vllm-chart", (Maintainer("Jane", "jane@example.com", "jane"),))
KEY = "Release Test <release@example.com>"


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Homes of Helm and GnuPG that nothing else uses, and Helm on PATH."""
    home = tmp_path_factory.mktemp("home")
    (home / "gnupg").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNUPGHOME", str(home / "gnupg"))
        for name in ("CACHE", "CONFIG", "DATA"):
            patch.setenv(f"HELM_{name}_HOME", str(home / name.lower()))
        patch.setenv("KUBECONFIG", str(home / "no-cluster"))
        patch.setenv("PATH", os.environ["PATH"])
        tools.put_on_path("helm")
        yield
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)


@pytest.fixture(scope="module")
def changelog() -> str:
    """The changelog as it is when what is unreleased belongs to this version, too."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    text = re.sub(rf"^## \[{re.escape(VERSION)}\].*\n", "", text, flags=re.MULTILINE)
    return text.replace("## [Unreleased]", f"## [{VERSION}]", 1)


@pytest.fixture(scope="module")
def signature(tmp_path_factory: pytest.TempPathFactory) -> Signature:
    """A key that is thrown away, in a keyring of the form that Helm reads."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "passphrase").write_text("throw-away\n")
    batch = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "throw-away"]
    run([*batch, "--quick-generate-key", KEY, "rsa3072", "sign", "1d"])
    run([*batch, "--output", folder / "secring.gpg", "--export-secret-keys", KEY])
    run(["gpg", "--batch", "--output", folder / "pubring.gpg", "--export", KEY])
    return Signature(KEY, folder / "secring.gpg", folder / "passphrase")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, changelog: str, signature: Signature) -> Path:
    target = tmp_path_factory.mktemp("release") / "made"
    return release.package(CHART, changelog, target, of=PROJECT, sign=signature)


@pytest.fixture(scope="module")
def published(package: Path, signature: Signature, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the release was pushed, as oci://host:port/charts."""
    with registry.serve(tmp_path_factory.mktemp("registry")) as address:
        target = f"oci://{address}/charts"
        release.push(package, target, keyring=signature.keyring, options=("--plain-http",))
        yield target


def test_the_package_carries_what_artifact_hub_shows(package: Path, changelog: str) -> None:
    found = go_yaml.load(run(["helm", "show", "chart", package]))
    annotations = found["annotations"]
    changes = yaml.safe_load(annotations["artifacthub.io/changes"])
    assert len(changes) == len(re.findall(r"^- ", release.section(changelog, VERSION), flags=re.MULTILINE))
    assert {change["kind"] for change in changes} <= set(release.KINDS.values())
    assert all(change["description"].endswith((".", "`)")) for change in changes)
    assert found["icon"].startswith("data:image/svg+xml;base64,")
    assert found["home"] == PROJECT.documentation
    assert found["sources"] == [f"{REPOSITORY}/tree/v{VERSION}/charts/vllm"]
    assert found["maintainers"] == [{"name": "Jane", "email": "jane@example.com"}]
    for name in ("links", "screenshots"):
        for item in yaml.safe_load(annotations[f"artifacthub.io/{name}"]):
            path = re.sub(rf"^{REPOSITORY}/(?:tree|blob|raw)/v{VERSION}/", "", item["url"])
            assert path in (f"{REPOSITORY}/issues", PROJECT.documentation) or (ROOT / path).exists()


def test_links_of_the_changelog_lead_into_the_repository_from_elsewhere() -> None:
    text = "Keeps it ([how](docs/a.md#b)), as [SemVer](https://semver.org) does."
    there = text.replace("docs/a.md#b", f"{REPOSITORY}/blob/v1.2.3/docs/a.md#b")
    assert release.absolutize_links(text, REPOSITORY, "1.2.3") == there
    assert release.absolutize_links(text, "", "1.2.3") == text.replace("[how](docs/a.md#b)", "how")


def test_helm_lint_has_nothing_to_say_of_the_package(package: Path) -> None:
    assert "0 chart(s) failed" in (said := run(["helm", "lint", package, "--strict"]))
    assert "[INFO]" not in said


def test_the_package_renders_as_the_folder_does_but_for_nothing(package: Path, tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "vllm")
    (chart / "Chart.yaml").write_text(project_files.build(PROJECT)[CHART / "Chart.yaml"] or "", encoding="utf-8")
    options = ["--kube-version", KUBE_VERSION, "--values", str(ROOT / "values" / "production.yaml")]
    assert run(["helm", "template", "a", package, *options]) == run(["helm", "template", "a", chart, *options])


def test_the_schema_in_the_package_refuses_a_typo(package: Path) -> None:
    with pytest.raises(CommandError, match="max-model-length"):
        run(["helm", "template", "a", package, "--set", "engine.args.max-model-length=1"])


def test_a_signature_is_verified_with_the_public_key_alone(package: Path, signature: Signature) -> None:
    assert "Signed by" in run(["helm", "verify", package, "--keyring", signature.keyring.with_name("pubring.gpg")])


def test_a_changed_package_is_not_verified(package: Path, signature: Signature, tmp_path: Path) -> None:
    changed = tmp_path / package.name
    changed.write_bytes(package.read_bytes() + b"\0")
    shutil.copy(f"{package}.prov", f"{changed}.prov")
    with pytest.raises(CommandError, match="sha256 sum does not match"):
        run(["helm", "verify", changed, "--keyring", signature.keyring])


def test_the_release_installs_from_the_registry(published: str) -> None:
    words = ["helm", "template", "llama", f"{published}/vllm", "--version", VERSION, "--plain-http"]
    found = run([*words, "--kube-version", KUBE_VERSION, "--values", ROOT / "values" / "single-gpu.yaml"])
    assert f"helm.sh/chart: vllm-{VERSION}" in found
    assert "kind: Deployment" in found


def test_what_is_pulled_is_verified(published: str, signature: Signature, tmp_path: Path) -> None:
    keyring = signature.keyring.with_name("pubring.gpg")
    words = ["helm", "pull", f"{published}/vllm", "--version", VERSION, "--plain-http", "--destination", tmp_path]
    run([*words, "--verify", "--keyring", keyring])
    assert (tmp_path / f"vllm-{VERSION}.tgz").exists()


def page_block(mark: str, word: str = "") -> list[dict[str, Any]]:
    """The documents of the block of docs/vendoring.md that has this mark, and a word in it."""
    (found,) = [
        snippet
        for snippet in snippets.every_snippet()
        if snippet.page == "docs/vendoring.md" and snippet.mark == mark and word in snippet.text
    ]
    return list(yaml.safe_load_all(found.text))


def test_the_subchart_of_the_documentation_works_from_the_registry(published: str, tmp_path: Path) -> None:
    chart, values = page_block("subchart")
    parent = tmp_path / chart["name"]
    parent.mkdir()
    for dependency in chart["dependencies"]:
        dependency |= {"repository": published, "version": VERSION}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (parent / "values.yaml").write_text(yaml.safe_dump(values))
    (parent / "templates").mkdir()
    run(["helm", "dependency", "update", parent, "--plain-http"])
    words = ["helm", "template", "assistants", parent, "--kube-version", KUBE_VERSION]
    both, one = run([*words, "--set", "embedder.enabled=true"]), run(words)
    for name, where, there in (("chat", one, True), ("embedder", one, False), ("embedder", both, True)):
        assert (f"name: assistants-{name}\n" in where) == there
    assert "image: registry.example.internal/vllm/vllm-openai" in one
    with pytest.raises(CommandError, match=r"chat"):
        run([*words, "--set", "chat.engine.args.max-model-length=1"])


def test_the_kustomization_of_the_documentation_builds(published: str, tmp_path: Path) -> None:
    (kustomization,) = page_block("manifest", "helmCharts")
    (chart,) = kustomization["helmCharts"]
    chart |= {"repo": published, "version": VERSION}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    # Kustomize has no flag for a registry without TLS, and takes a chart that was pulled before
    folder = tmp_path / "charts" / f"vllm-{VERSION}"
    words = ["helm", "pull", f"{published}/vllm", "--version", VERSION, "--plain-http", "--untar"]
    run([*words, "--untardir", folder])
    program = go_programs.KUSTOMIZE.build() / "kustomize"
    oldest = tools.oldest_helm(install=True)
    assert oldest
    found = run([program, "build", "--enable-helm", "--helm-command", oldest, tmp_path])
    assert "name: llama\n  namespace: llm" in found


def test_a_pre_release_is_pushed_and_pulled_under_its_whole_version(
    published: str, changelog: str, tmp_path: Path
) -> None:
    version = f"{VERSION}-rc.1"
    chart = shutil.copytree(CHART, tmp_path / "vllm")
    described = (chart / "Chart.yaml").read_text(encoding="utf-8")
    (chart / "Chart.yaml").write_text(described.replace(f"version: {VERSION}\n", f"version: {version}\n", 1))
    made = release.package(chart, changelog.replace(f"[{VERSION}]", f"[{version}]", 1), tmp_path / "made")
    release.push(made, published, options=("--plain-http",))
    shown = go_yaml.load(run(["helm", "show", "chart", f"{published}/vllm", "--version", version, "--plain-http"]))
    assert shown["version"] == version
    assert shown["annotations"]["artifacthub.io/prerelease"] == "true"


def test_a_version_without_a_section_in_the_changelog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"CHANGELOG.md says nothing of {re.escape(VERSION)}"):
        release.package(CHART, "# Changelog\n\n## [9.9.9]\n\n- A.\n", tmp_path / "made")
    with pytest.raises(UserError, match='changes under "Unreleased"'):
        release.section("## [Unreleased]\n\n### Added\n\n- A.\n\n## [1.0.0]\n\n- B.\n", "1.0.0")


def test_a_package_without_its_schema_is_refused(tmp_path: Path, changelog: str) -> None:
    chart = shutil.copytree(CHART, tmp_path / "vllm")
    with (chart / ".helmignore").open("a") as file:
        file.write("values.schema.json\n")
    with pytest.raises(UserError, match=r"lacks values\.schema\.json"):
        release.package(chart, changelog, tmp_path / "made")
