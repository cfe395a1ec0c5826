"""Where the project is published and who maintains it, from `[tool.vllm-chart]` in pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ci.common import ROOT
from vllm_chart.errors import UserError


@dataclass(frozen=True)
class Maintainer:
    """A person or team that answers for the project.

    Attributes:
        name: for readers.
        email: for Helm and Artifact Hub.
        github: name of the user, or of the team as `organization/team`, whose review pull requests need.
    """

    name: str
    email: str
    github: str


@dataclass(frozen=True)
class Project:
    """A project that is published.

    Attributes:
        repository: URL of the sources, without a slash at its end.
        documentation: URL of the documentation's site, without a slash at its end.
        maintainers: at least one.
        artifacthub: ID of the repository on Artifact Hub; empty while it is not registered there.
    """

    repository: str
    documentation: str
    maintainers: tuple[Maintainer, ...]
    artifacthub: str = ""

    @property
    def chart_metadata(self) -> dict[str, Any]:
        """Return the fields of Chart.yaml."""
        return {
            "home": self.documentation,
            "sources": [self.repository],
            "maintainers": [{"name": one.name, "email": one.email} for one in self.maintainers],
        }


def read(settings: Mapping[str, Any]) -> Project | None:
    """Return the project that settings describe; None while one that is required is unset."""
    if not all(settings[name] for name in ("repository", "documentation", "maintainers")):
        return None
    return Project(
        settings["repository"].rstrip("/"),
        settings["documentation"].rstrip("/"),
        tuple(Maintainer(**one) for one in settings["maintainers"]),
        settings["artifacthub-repository"],
    )


def published() -> Project | None:
    """Return the project as pyproject.toml describes it; None while it is unset."""
    return read(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["vllm-chart"])


def require() -> Project:
    """Return the project as pyproject.toml describes it.

    Raises:
        UserError: while it is unset.
    """
    if not (found := published()):
        raise UserError(
            "pyproject.toml: no address or maintainer to publish with. Set repository, documentation and maintainers "
            "in [tool.vllm-chart], then run `make generate`."
        )
    return found
