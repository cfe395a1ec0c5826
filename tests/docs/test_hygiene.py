"""What hosts and tools read of this repository is what they can read."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from typing import Any

import pytest

from ci import crds
from ci.common import ROOT
from scripts import project, release
from scripts.generate import project_files
from scripts.project import Maintainer, Project
from vllm_chart.chart import CHART
from vllm_chart.errors import UserError
from vllm_chart.invariants import custom_resources
from vllm_chart.render import go_yaml

RENOVATE: dict[str, Any] = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
VERSIONS = (ROOT / "ci" / "versions.toml").read_text(encoding="utf-8")

#: Lines of versions.toml that no tool may raise: what is needed at least, follows another line or is Debian's, or is no
#: version.
BY_HAND = {"minimum", "oldest", "debian", "disk-gigabytes", "python", "name", "prometheus"}


def matches(text: str) -> list[tuple[str, str]]:
    """What Renovate's managers find in a file: each line of a match, with the version in it."""
    found = []
    for manager in RENOVATE["customManagers"]:
        if not any(
            pattern.strip("/").lstrip("^") in r"ci/versions\.toml$" for pattern in manager["managerFilePatterns"]
        ):
            continue
        for expression in manager["matchStrings"]:
            for match in re.finditer(expression.replace("(?<", "(?P<"), text):
                found += [(line, match["currentValue"]) for line in match.group(0).strip().splitlines()]
    return found


def test_renovate_finds_every_version() -> None:
    found = [line for line, _ in matches(VERSIONS)]
    missed = [
        line
        for line in VERSIONS.splitlines()
        if (named := re.match(r"([\w.-]+) = \"", line))
        and not BY_HAND & set(named[1].split("."))
        and not any(line.startswith(start) for start in found)
    ]
    assert not missed, "name them in renovate.json, or in BY_HAND"


def test_renovate_names_no_version_that_is_not_there() -> None:
    versions = tomllib.loads(VERSIONS)
    text = json.dumps(versions)
    assert matches(VERSIONS)
    for _, version in matches(VERSIONS):
        assert version in text
    for manager in RENOVATE["customManagers"]:
        wanted = CHART / "Chart.yaml" if "Chart" in manager["managerFilePatterns"][0] else ROOT / "ci" / "versions.toml"
        for expression in manager["matchStrings"]:
            assert re.search(expression.replace("(?<", "(?P<"), wanted.read_text(encoding="utf-8")), expression


def test_forms_of_issues_have_what_the_host_wants() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yaml"):
        form = go_yaml.load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(form)
        for part in form["body"]:
            assert part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
            assert ("value" in part["attributes"]) if part["type"] == "markdown" else ("label" in part["attributes"])


def test_the_release_workflow_calls_what_is_there() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yaml").read_text(encoding="utf-8")
    workflow = go_yaml.load(text)
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = set(re.findall(r"\bmake ([a-z0-9-]+)", text))
    assert {"release", "docs", "test-all"} <= called <= targets
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        assert job["permissions"]
    assert release.TARGET.relative_to(ROOT).as_posix() in text


def test_the_notice_names_every_project_whose_definitions_are_embedded() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8").lower()
    assert {path.stem for path in custom_resources.FOLDER.glob("*.json")} == {k for s in crds.SOURCES for k in s.kinds}
    names = {
        "argo-cd": "argo cd",
        "flux-helm-controller": "flux",
        "flux-source-controller": "flux",
        "lws": "leaderworkerset",
    }
    names |= {"gateway-api": "gateway api", "gateway-api-inference-extension": "inference extension"}
    for source in crds.SOURCES:
        assert names.get(source.project, source.project) in notice, source.project
    assert "smollm2-135m-instruct (apache-2.0" in notice


def test_each_package_that_the_project_leans_on_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    names = {re.split(r"[>=]", item)[0] for group in listed for item in group if not item.startswith("types-")}
    reasons = (ROOT / "docs" / "decisions" / "0001-tools.md").read_text(encoding="utf-8").lower()
    assert not {name for name in names if not re.search(rf"\b{name}\b", reasons)}


def test_every_line_of_the_changelog_has_a_kind_that_artifact_hub_knows() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (\w+)$", changelog, flags=re.MULTILINE)) <= set(release.KINDS)
    assert go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]["artifacthub.io/license"]


def long_entries(changelog: str) -> list[str]:
    """The entries of a changelog that have more than two lines."""
    return [
        entry for entry in re.findall(r"^- .*\n(?:  .*\n?)*", changelog, flags=re.MULTILINE) if entry.count("\n") > 2
    ]


def test_changelog_entry_has_at_most_two_lines() -> None:
    assert not long_entries((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_long_entry_of_the_changelog_is_found() -> None:
    assert long_entries("- a\n  b\n- a\n  b\n  c\n\n### Fixed\n\n- a\n") == ["- a\n  b\n  c\n"]


def test_a_package_tells_its_name_and_whole_version() -> None:
    for version in ("0.3.0", "0.3.0-rc.1", "0.3.0-rc.1+2"):
        assert release.identity(ROOT / f"vllm-{version}.tgz") == ("vllm", version)


PROJECT = Project(
    "https://github.com/example/chart", "https://docs.example", (Maintainer("Jane", "jane@example.com", "jane"),), "id"
)


def test_files_with_addresses_are_what_pyproject_gives() -> None:
    for file, text in project_files.files().items():
        current = file.read_text(encoding="utf-8") if file.exists() else None
        assert current == text, f"{file.relative_to(ROOT)} is stale: run `make generate`"


def test_addresses_and_owners_come_from_one_setting() -> None:
    built = {file.name: text or "" for file, text in project_files.build(PROJECT).items()}
    chart = go_yaml.load(built["Chart.yaml"])
    assert chart["home"] == "https://docs.example"
    assert chart["sources"] == ["https://github.com/example/chart"]
    assert chart["maintainers"] == [{"name": "Jane", "email": "jane@example.com"}]
    assert go_yaml.load(built["artifacthub-repo.yml"]) == {"repositoryID": "id", "owners": chart["maintainers"]}
    assert built["CODEOWNERS"].endswith("* @jane\n")
    assert {link["url"].split("/")[2] for link in go_yaml.load(built["config.yml"])["contact_links"]} == {
        "docs.example",
        "github.com",
    }


def test_addresses_and_owners_are_left_out_while_one_of_them_is_unset() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["vllm-chart"]
    given = {
        "repository": "https://github.com/example/chart/",
        "documentation": "https://docs.example/",
        "maintainers": [{"name": "Jane", "email": "jane@example.com", "github": "jane"}],
        "artifacthub-repository": "id",
    }
    assert settings.keys() == given.keys()
    assert project.read(given) == PROJECT
    for name in ("repository", "documentation", "maintainers"):
        assert project.read({**given, name: ""}) is None
    built = {file.name: text for file, text in project_files.build(None).items()}
    assert not {"home", "sources", "maintainers"} & go_yaml.load(built["Chart.yaml"] or "").keys()
    assert built["CODEOWNERS"] is built["artifacthub-repo.yml"] is None


def test_release_stops_while_no_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "published", lambda: None)
    with pytest.raises(UserError, match=r"pyproject\.toml: .* \[tool\.vllm-chart\]"):
        release.release()


def test_chart_icon_is_that_of_the_documentation() -> None:
    icon = go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["icon"]
    assert base64.b64decode(icon.removeprefix("data:image/svg+xml;base64,")) == (ROOT / "docs/icon.svg").read_bytes()
