"""The last release is found by its tag, or by the changelog of a checkout without tags."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import last_release as module
from scripts.last_release import LastRelease, last_release
from vllm_chart.process import run

Commit = Callable[..., str]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = [f"{key}={value}" for key, value in (("user.name", "A"), ("user.email", "a@example.com"))]
    settings = [word for item in (*who, "commit.gpgsign=false", "tag.gpgsign=false") for word in ("-c", item)]
    return run(["git", *settings, *arguments], cwd=folder, env={"GIT_CONFIG_GLOBAL": os.devnull}).strip()


@pytest.fixture
def commit(checkout: Path) -> Commit:
    """A function that commits a changelog with these headings, and returns the commit."""

    def commit(*headings: str, text: str = "", tag: str = "") -> str:
        sections = "".join(f"## [{heading}]\n\n" for heading in headings)
        (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n{sections}{text}\n", encoding="utf-8")
        git(checkout, "add", "CHANGELOG.md")
        git(checkout, "commit", "--quiet", "--allow-empty", "--message", "a")
        if tag:
            git(checkout, "tag", tag)
        return git(checkout, "rev-parse", "HEAD")

    return commit


def test_a_commit_after_a_tag_has_that_release_before_it(checkout: Path, commit: Commit) -> None:
    tagged = commit("Unreleased", "0.1.0", tag="v0.1.0")
    commit("Unreleased", "0.1.0", text="more")
    assert last_release(checkout) == LastRelease("0.1.0", tagged, checkout)


def test_a_tagged_commit_is_not_the_release_before_itself(checkout: Path, commit: Commit) -> None:
    first = commit("0.1.0", tag="v0.1.0")
    commit("0.2.0", "0.1.0", tag="v0.2.0")
    assert last_release(checkout) == LastRelease("0.1.0", first, checkout)


def test_a_pre_release_is_none(checkout: Path, commit: Commit) -> None:
    first = commit("0.1.0", tag="v0.1.0")
    commit("0.2.0-rc.1", "0.1.0", tag="v0.2.0-rc.1")
    commit("Unreleased", "0.2.0-rc.1", "0.1.0")
    assert last_release(checkout) == LastRelease("0.1.0", first, checkout)


def test_without_tags_it_is_the_commit_that_wrote_the_newest_section(checkout: Path, commit: Commit) -> None:
    commit("0.1.0")
    second = commit("0.2.0", "0.1.0")
    commit("Unreleased", "0.2.0", "0.1.0", text="more")
    commit("Unreleased", "0.2.0", "0.1.0", text="and more")
    assert last_release(checkout) == LastRelease("0.2.0", second, checkout)


def test_without_tags_the_commit_that_writes_a_section_is_not_the_release_before_itself(
    checkout: Path, commit: Commit
) -> None:
    first = commit("Unreleased", "0.1.0")
    commit("Unreleased", "0.2.0", "0.1.0")
    assert last_release(checkout) == LastRelease("0.1.0", first, checkout)


def test_a_checkout_without_history_knows_of_none(checkout: Path, commit: Commit, tmp_path: Path) -> None:
    commit("0.1.0")
    assert last_release(checkout) is None
    commit("Unreleased", "0.1.0")
    commit("Unreleased", "0.1.0", text="more")
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{checkout}", "shallow")
    assert last_release(checkout)
    assert last_release(tmp_path / "shallow") is None
    assert last_release(tmp_path) is None


def test_its_files_are_those_of_its_commit(
    checkout: Path, commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    for part in ("charts", "values"):
        (checkout / part).mkdir()
        (checkout / part / "a.yaml").write_text("released\n", encoding="utf-8")
    git(checkout, "add", "charts", "values")
    commit("0.1.0")
    (checkout / "values" / "a.yaml").write_text("changed\n", encoding="utf-8")
    git(checkout, "add", "values")
    commit("Unreleased", "0.1.0")
    found = last_release(checkout)
    assert found
    assert found.read("values/a.yaml") == "released\n"
    assert found.read("values/b.yaml") == ""
    for _ in range(2):
        assert (found.unpacked() / "values" / "a.yaml").read_text(encoding="utf-8") == "released\n"
        assert (found.unpacked() / "charts" / "a.yaml").exists()
