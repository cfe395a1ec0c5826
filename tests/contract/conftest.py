"""A chart's schema acts through Helm only, so its tests ask Helm: the one in use and, where it is there, the oldest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from harness import helm
from harness.helm import CHART

from scripts import tools

#: Keys and, in lists, numbers that lead to a value.
Steps = tuple[str | int, ...]


class Complaints:
    """What Helm says of values that it refuses, by the path at which it says it."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\\", "")
        self._at: dict[str, str] = {}
        for pointer, dotted, words in re.findall(
            r"^ *- (?:at '([^']*)':|(\S+?):?) (.*)$", self.text, flags=re.MULTILINE
        ):
            if words == "validation failed":  # what is wrong stands below
                continue
            path = dotted or pointer
            self._at[path] = f"{self._at.get(path, '')}{words}\n"

    def about(self, path: Steps) -> str:
        """Return what is said of a path, as Helm 4 (/a/0/b) or Helm 3 (a.0.b) writes it; empty where nothing is."""
        pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
        dotted = ".".join(map(str, path)) or "(root)"
        return self._at.get(dotted, "") or self._at.get(pointer, "")


#: A function that gives values to Helm and returns its complaints; it fails where Helm has none.
Refuse = Callable[[dict[str, Any]], Complaints]


@pytest.fixture(params=["in use", "oldest"])
def refuse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """A function that gives values to Helm and returns its complaints."""
    if request.param == "oldest":
        program = tools.oldest_helm()
        if program is None:
            pytest.skip("no oldest Helm: name it in HELM_OLDEST")
        monkeypatch.setattr(helm, "binary", lambda: str(program))

    def refuse(values: dict[str, Any]) -> Complaints:
        with pytest.raises(helm.HelmError) as failure:
            helm.run(["template", "test", str(CHART), "--values", "-"], json.dumps(values))
        return Complaints(failure.value.text)

    return refuse
