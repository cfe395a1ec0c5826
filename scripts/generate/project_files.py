"""Writes the files that name the project's addresses and maintainers, from `[tool.vllm-chart]` in pyproject.toml.

A file that holds nothing else is absent while these are unset.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from ci.common import ROOT
from scripts import project
from scripts.project import Project
from vllm_chart.chart import CHART

_NOTE = "# Generated from [tool.vllm-chart] in pyproject.toml by `make generate`."


def files() -> Mapping[Path, str | None]:
    """Return the text of each file as pyproject.toml gives it; None for a file that should not exist."""
    return build(project.published())


def build(of: Project | None) -> dict[Path, str | None]:
    """Return the text of each file for a project, or for none; None for a file that should not exist."""
    chart = CHART / "Chart.yaml"
    metadata = chart.read_text(encoding="utf-8").partition(_NOTE)[0]
    return {
        chart: metadata + (_yaml(of.chart_metadata) if of else ""),
        ROOT / "artifacthub-repo.yml": _yaml(_owners(of)) if of else None,
        ROOT / ".github" / "CODEOWNERS": _code_owners(of) if of else None,
        ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml": _yaml(_issues(of)),
    }


def _yaml(body: dict[str, object]) -> str:
    return f"{_NOTE}\n{yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)}"


def _owners(of: Project) -> dict[str, object]:
    """Return what Artifact Hub reads to know who owns the repository; docs/versioning.md says how it gets there."""
    return {
        "repositoryID": of.artifacthub,
        "owners": [{"name": one.name, "email": one.email} for one in of.maintainers],
    }


def _code_owners(of: Project) -> str:
    return f"{_NOTE}\n* {' '.join(f'@{one.github}' for one in of.maintainers)}\n"


def _issues(of: Project | None) -> dict[str, object]:
    links = (
        [
            {"name": "Documentation", "url": of.documentation, "about": "How to run the chart, and troubleshooting"},
            {
                "name": "Vulnerability",
                "url": f"{of.repository}/security/advisories/new",
                "about": "Report it in private",
            },
        ]
        if of
        else []
    )
    return {"blank_issues_enabled": True} | ({"contact_links": links} if links else {})
