"""A chart's schema acts through Helm only, so its tests ask Helm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ci import tools
from vllm_chart.check import helm_errors
from vllm_chart.render import helm

#: Keys and, in lists, numbers that lead to a value.
Steps = tuple[str | int, ...]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat tests marked every_helm with the oldest supported Helm if it is installed."""
    if metafunc.config.getoption("helm") != "suitable" or not metafunc.definition.get_closest_marker("every_helm"):
        return
    if oldest := tools.oldest_helm(install=False):
        metafunc.parametrize("program", [None, str(oldest)], ids=["helm", "oldest-helm"], indirect=True)


@pytest.fixture(autouse=True)
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Renders are made by another Helm, if a parameter names one."""
    another = getattr(request, "param", None)
    if another is None:
        yield
        return
    known = (helm.binary, helm.version, helm._render)
    monkeypatch.setenv("HELM", another)
    for function in known:
        function.cache_clear()
    yield
    for function in known:
        function.cache_clear()


class Complaints:
    """What Helm says of values that it refuses, by the path at which it says it."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\\", "")
        self._at: dict[str, str] = {}
        for place, words in helm_errors.complaints(text):
            self._at[place] = f"{self._at.get(place, '')}{words}\n"

    def about(self, path: Steps) -> str:
        """Return what is said of a path, as Helm 4 (/a/0/b) or Helm 3 (a.0.b) writes it; empty where nothing is."""
        pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
        dotted = ".".join(map(str, path)) or "(root)"
        return self._at.get(dotted, "") or self._at.get(pointer, "")

    def misses(self, path: Steps) -> bool:
        """True if the error reports the key as missing: "missing property 'a'" in Helm 4, "a is required" in Helm 3."""
        text = self.about(path[:-1])
        return f"'{path[-1]}'" in text or re.search(rf"^{path[-1]} is required$", text, flags=re.MULTILINE) is not None


#: A function that gives values to Helm and returns its complaints; it fails where Helm has none.
Refuse = Callable[[dict[str, Any]], Complaints]


@pytest.fixture
def refuse() -> Refuse:
    """A function that gives values to Helm and returns its complaints."""

    def refuse(values: dict[str, Any]) -> Complaints:
        with pytest.raises(helm.HelmError) as failure:
            helm.render(values)
        return Complaints(failure.value.text)

    return refuse
