"""The Helm that stays, with which mutants are rendered, answers as the helm program does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ci.go_programs import RENDERER
from scripts.mutation.trials import Renderer
from scripts.value_sets import ValueSet
from vllm_chart.render import helm
from vllm_chart.render.helm import HelmError, Values

Outcome = Callable[[Values], str]

#: Values that Helm refuses, each in another way, and a word of the answer.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"replcas": 2}, "replcas"),
    "a wrong type": ({"replicas": "two"}, "integer"),
    "an unknown flag": ({"engine": {"args": {"max-model-length": 1}}}, "max-model-length"),
    "a named check": ({"podSpec": {"terminationGracePeriodSeconds": 3}}, "[check"),
    "a template of the user's": (
        {"extraObjects": {"a": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ fail }}"}}}},
        "wrong number of args for fail",
    ),
}


def outcome(values: Values) -> str:
    """The text of a render, or that of the refusal."""
    try:
        return helm.render(values).text
    except HelmError as error:
        return error.text


@pytest.fixture(scope="module")
def staying() -> Iterator[Outcome]:
    """The same, by the Helm that stays."""
    program = RENDERER.folder / "renderer"
    if not program.exists():
        pytest.skip("the renderer isn't built: `make mutation` does so where there is Go")
    if helm.version() != tuple(map(int, RENDERER.version.split("."))):
        pytest.skip(f"the renderer is Helm {RENDERER.version}, and {helm.binary()} is another")
    renderer = Renderer(program)

    def by_renderer(values: Values) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(helm, "binary", lambda: str(program))  # whose renders are kept apart
            patch.setattr(helm, "_render", helm._render.__wrapped__)
            patch.setattr(helm, "call", renderer.call)
            return outcome(values)

    yield by_renderer
    renderer.close()


def test_it_renders_every_value_set_as_the_program_does(value_set: ValueSet, staying: Outcome) -> None:
    assert staying(value_set.path) == outcome(value_set.path)


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_in_the_words_of_the_program(case: str, staying: Outcome) -> None:
    values, word = REFUSED[case]
    assert word in staying(values)
    assert staying(values) == outcome(values)
